//! The JSON of the admin socket, as its server writes it and its clients read it.
//!
//! Clients ignore members that they do not know, so that a later node may say more.

mod departure;
mod emulation;
mod event;
mod issuer;
mod model;
mod netcheck;
mod plan;
mod policy;
mod ranking;
mod recovery;
mod revocation;
mod status;

pub use departure::{DepartureReport, DepartureRequest, DepartureState};
pub use emulation::{Cut, EmulationReport, EmulationSettings, Firewall, Loss, Rule};
pub use event::{EventKind, EventRow, LinkChange};
pub use issuer::{AppointmentReport, DelegationDraft, IssuerRow};
pub use model::{ModelDetail, ModelFile, ModelPushed, ModelRow, ModelSignature, ModelVerified, Port, Publisher, Size};
pub use netcheck::{LinkCheck, MemberCheck, NetcheckReport, Notable};
pub use plan::{ModelPlan, NamedExtent, NamedExtentError, PlanFusion, PlanStep};
pub use policy::{
    DataClassRow, NodeClassReport, NodeClassRow, NodeClassShare, PlanReport, PlanRequest, PlannedClass, PlannedMove,
    PlannedRefusal, PolicyAccepted, PolicyHead, PolicyReport,
};
pub use ranking::{NearestCandidate, NearestRefused, NearestReport, PingReport, PlacementReport, PlacementRow};
pub use recovery::RecoveryReport;
pub use revocation::{ForgetReport, ForgetRequest, RevocationDraft, RevocationReport, WithdrawalRequest};
pub use status::{
    Aggregator, CertificateReport, IssuingReport, LinkPath, Listening, LocalModel, MemberCounts, MemberRow, NodeState,
    RelayReport, RightState, SocketTraffic, Status,
};

//! Asks the candidates best first until one answers or the time is over.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hedgerow_attest::digest::Sha256Digest;
use hedgerow_attest::id::NodeId;
use hedgerow_attest::region::Region;
use hedgerow_inference::exec::RunError;
use hedgerow_inference::ir::Signature;
use hedgerow_inference::tensor::Tensor;
use hedgerow_protocol::link::Origin;
use hedgerow_protocol::name::{ModelName, ModelRef, ModelVersion};
use hedgerow_protocol::route::{Candidate, RankQuery, Ranking, RefusalReason, rank};
use hedgerow_protocol::view::MeshView;
use thiserror::Error;
use tokio::sync::watch;

use super::call::{InferCall, InferReply, RefusalKind, decode, encode};
use super::hedge::{Ask, hedged};
use crate::exec::{ExecError, Pool, Shelf};
use crate::net::limits::REQUEST_DEADLINE_MAX;
use crate::net::{Net, Protocol, RemoteError, RequestError};

/// The name of inference requests on the rpc lane.
pub const INFER_PROTOCOL: Protocol = Protocol::new("infer/1");

/// The name under which peers say what a model takes and gives.
pub const DESCRIBE_PROTOCOL: Protocol = Protocol::new("describe/1");
/// How long a peer may take to say it.
const METADATA_PATIENCE: Duration = Duration::from_secs(2);

/// What an application asks.
#[derive(Clone, Debug)]
pub struct InferRequest {
    /// The model.
    pub model: ModelName,
    /// The version; any when nothing.
    pub version: Option<ModelVersion>,
    /// The inputs by name.
    pub inputs: BTreeMap<String, Tensor>,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// What answered, from where, and how long each part took.
#[derive(Debug)]
pub struct InferAnswer {
    /// The node that ran it.
    pub node: NodeId,
    /// Its region.
    pub region: Region,
    /// Model and version.
    pub model: ModelRef,
    /// sha256 of the manifest.
    pub manifest: Sha256Digest,
    /// The outputs by name.
    pub outputs: BTreeMap<String, Tensor>,
    /// Nodes between this one and the one that ran it.
    pub hops: u8,
    /// Time in that node's queue.
    pub queue: Duration,
    /// Time in the model.
    pub compute: Duration,
    /// Time on the way there and back, and in the forms of the wire.
    pub forward: Duration,
    /// From the request's arrival here to its answer.
    pub total: Duration,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum InferError {
    /// No publisher has deployed a model of that name, as far as this node knows.
    #[error("find a model called {model}")]
    Unknown {
        /// The name.
        model: ModelName,
    },
    /// The model is known and nobody answers for it.
    #[error("find a node that answers for {model}: {reasons}")]
    NoCandidate {
        /// The name.
        model: ModelName,
        /// Why each member was passed over.
        reasons: String,
    },
    /// The request does not fit the model.
    #[error("{detail}")]
    Request {
        /// What does not fit.
        detail: String,
    },
    /// Every candidate was asked and none answered.
    #[error("hear from {asked} node(s): the last said: {detail}")]
    Exhausted {
        /// How many were asked.
        asked: usize,
        /// What the last one said.
        detail: String,
    },
    /// The time was over.
    #[error("answer within {} ms", timeout.as_millis())]
    Deadline {
        /// The time allowed.
        timeout: Duration,
    },
}

/// A cheap handle for asking models.
#[derive(Clone, Debug)]
pub struct Router {
    view: watch::Receiver<Arc<MeshView>>,
    shelf: Shelf,
    pool: Pool,
    net: Net,
}

impl Router {
    /// A router over this node's models and its view of the others'.
    pub fn new(view: watch::Receiver<Arc<MeshView>>, shelf: Shelf, pool: Pool, net: Net) -> Self {
        Self { view, shelf, pool, net }
    }

    /// The candidates for a model, best first, and why the others are none.
    pub fn ranking(&self, model: ModelName, version: Option<ModelVersion>, deadline: Option<Duration>) -> Ranking {
        let deadline_us = deadline.map(|deadline| u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX));
        rank(&self.view.borrow(), &RankQuery { model, version, deadline_us })
    }

    /// Asks the candidates, best first. An inference changes nothing, so that the next one may be asked while the last is silent.
    pub async fn infer(&self, request: InferRequest) -> Result<InferAnswer, InferError> {
        let arrived = Instant::now();
        let timeout = request.timeout.min(TIMEOUT_MAX);
        let view = self.view.borrow().clone();
        let deadline_us = Some(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
        let query = RankQuery { model: request.model.clone(), version: request.version.clone(), deadline_us };
        let ranking = rank(&view, &query);
        if ranking.candidates.is_empty() {
            return Err(no_candidate(&view, &ranking, request.model));
        }
        let call = InferCall { model: request.model, version: request.version, inputs: request.inputs };
        let (body, until) = (OnceLock::new(), arrived + timeout);
        let asks = ranking.candidates.iter().map(|candidate| {
            let patience = alone(Duration::from_micros(candidate.expected_us), timeout);
            Ask { patience, ask: self.try_candidate(&view, candidate, &call, &body, until) }
        });
        let asks: Vec<_> = asks.collect();
        let asked = tokio::time::timeout_at(until.into(), hedged(asks)).await;
        match asked {
            Ok(Ok(answer)) => answer.map(|answer| InferAnswer { total: arrived.elapsed(), ..answer }),
            Ok(Err(refusals)) if Instant::now() < until => {
                let detail = refusals.last().cloned().unwrap_or_default();
                Err(InferError::Exhausted { asked: ranking.candidates.len(), detail })
            }
            Ok(Err(_)) | Err(_) => Err(InferError::Deadline { timeout: request.timeout }),
        }
    }

    /// Asks one candidate. The error says why another may answer; a request that nobody would take is an answer.
    async fn try_candidate(
        &self,
        view: &MeshView,
        candidate: &Candidate,
        call: &InferCall,
        body: &OnceLock<Bytes>,
        until: Instant,
    ) -> Result<Result<InferAnswer, InferError>, String> {
        let sent = Instant::now();
        let reply = if candidate.node == view.me {
            self.run_here(call, until).await
        } else {
            if let Some((_, contact)) = view.contact(&candidate.node) {
                // The holder of its cell's lease says so, and not all that the node said itself.
                self.net.learn(contact.node, Origin::Given, &contact.addresses);
            }
            let body = body.get_or_init(|| Bytes::from(encode(call))).clone();
            self.ask(candidate.node, body, until.saturating_duration_since(sent)).await
        };
        match reply {
            InferReply::Refused { kind: RefusalKind::Request, detail } => Ok(Err(InferError::Request { detail })),
            InferReply::Refused { detail, .. } => Err(format!("{}: {detail}", candidate.node.short())),
            InferReply::Ran { model, manifest, outputs, queue_us, compute_us } => {
                let (queue, compute) = (Duration::from_micros(queue_us), Duration::from_micros(compute_us));
                let away = sent.elapsed().saturating_sub(queue.saturating_add(compute));
                let member = view.members.get(&candidate.node).map(|member| &member.region);
                let region = member.or_else(|| view.contact(&candidate.node).map(|(cell, _)| &cell.region));
                Ok(Ok(InferAnswer {
                    node: candidate.node,
                    region: region.unwrap_or(&view.region).clone(),
                    model,
                    manifest,
                    outputs,
                    hops: candidate.hops,
                    queue,
                    compute,
                    forward: if candidate.hops == 0 { Duration::ZERO } else { away },
                    total: Duration::ZERO,
                }))
            }
        }
    }

    /// Runs a request that another node forwarded: here or not at all.
    pub async fn serve(&self, body: &Bytes, remaining: Duration) -> Result<Bytes, RemoteError> {
        let Some(call) = decode::<InferCall>(body) else {
            return Err(RemoteError::Refused);
        };
        Ok(Bytes::from(encode(&self.run_here(&call, Instant::now() + remaining).await)))
    }

    /// What a model takes and gives, as the nearest node that has it warm says; `None` where nobody does.
    pub async fn describe(&self, model: &ModelName, version: Option<&ModelVersion>) -> Option<(ModelRef, Signature)> {
        if let Some(known) = self.described_here(model, version) {
            return Some(known);
        }
        let ask = Bytes::from(encode(&(model, version)));
        let candidates = self.ranking(model.clone(), version.cloned(), None).candidates;
        for candidate in candidates.iter().filter(|candidate| candidate.hops > 0) {
            let answer = self.net.request(candidate.node, DESCRIBE_PROTOCOL, ask.clone(), METADATA_PATIENCE).await;
            if let Some(Some(described)) = answer.ok().and_then(|bytes| decode::<Option<_>>(&bytes)) {
                return Some(described);
            }
        }
        None
    }

    /// Answers another node's question about a model.
    pub fn serve_description(&self, body: &Bytes) -> Result<Bytes, RemoteError> {
        let (model, version) = decode::<(ModelName, Option<ModelVersion>)>(body).ok_or(RemoteError::Refused)?;
        Ok(Bytes::from(encode(&self.described_here(&model, version.as_ref()))))
    }

    fn described_here(&self, model: &ModelName, version: Option<&ModelVersion>) -> Option<(ModelRef, Signature)> {
        self.shelf.warm(model, version).map(|warm| (warm.model, warm.runs.signature().clone()))
    }

    async fn run_here(&self, call: &InferCall, until: Instant) -> InferReply {
        let Some(warm) = self.shelf.warm(&call.model, call.version.as_ref()) else {
            return refused(RefusalKind::NotHere, "the model is not warm here");
        };
        match self.pool.run(warm.runs, call.inputs.clone(), until).await {
            Ok(ran) => InferReply::Ran {
                model: warm.model,
                manifest: warm.manifest,
                outputs: ran.outputs,
                queue_us: u64::try_from(ran.queued.as_micros()).unwrap_or(u64::MAX),
                compute_us: u64::try_from(ran.computed.as_micros()).unwrap_or(u64::MAX),
            },
            Err(ExecError::Run(error)) if blames_request(&error) => refused(RefusalKind::Request, &error.to_string()),
            Err(error @ ExecError::Run(_)) => refused(RefusalKind::Failed, &crate::observe::chain(&error)),
            Err(error) => refused(RefusalKind::Busy, &error.to_string()),
        }
    }

    async fn ask(&self, node: NodeId, body: Bytes, remaining: Duration) -> InferReply {
        match self.net.request(node, INFER_PROTOCOL, body, remaining).await {
            Ok(bytes) => decode(&bytes)
                .unwrap_or_else(|| refused(RefusalKind::Failed, "the node answered in a form of another release")),
            Err(RequestError::TooLong { got }) => {
                refused(RefusalKind::Request, &format!("{got} bytes are too many to forward"))
            }
            Err(error) => refused(RefusalKind::Busy, &crate::observe::chain(&error)),
        }
    }
}

/// How long a candidate is asked alone: until it should long have answered, and at most half of all the time. A second
/// computation costs a node more than a second read does, so that it comes later.
fn alone(expected: Duration, timeout: Duration) -> Duration {
    expected.saturating_mul(3).saturating_add(ALONE_MIN).min(timeout / 2)
}

/// Guess: an inference that takes longer is rare, and its caller is waiting.
const ALONE_MIN: Duration = Duration::from_millis(750);
/// Nobody is served longer than the network lets a request live.
const TIMEOUT_MAX: Duration = REQUEST_DEADLINE_MAX;

/// Whether every node would refuse the request for the same reason.
fn blames_request(error: &RunError) -> bool {
    match error {
        RunError::MissingInput { .. }
        | RunError::UnknownInput { .. }
        | RunError::Type { .. }
        | RunError::Shape { .. }
        | RunError::Symbol { .. }
        | RunError::TooMany { .. }
        | RunError::UnknownSymbol { .. }
        | RunError::Memory { .. }
        | RunError::Elements { .. }
        | RunError::Fit { .. }
        | RunError::Refused { .. }
        | RunError::Output { .. } => true,
        RunError::Deadline { .. } | RunError::Panicked { .. } | RunError::Kernel { .. } | RunError::Backend(_) => false,
    }
}

/// A refusal's reason as people read it.
pub(crate) fn told(reason: &RefusalReason) -> String {
    match reason {
        RefusalReason::State(state) => state.to_string(),
        RefusalReason::NotWarm => "without the model".to_owned(),
        RefusalReason::OtherVersion => "with another version".to_owned(),
        RefusalReason::TooLate { expected_us } => format!("too late, not before {} ms", expected_us / 1_000),
    }
}

fn refused(kind: RefusalKind, detail: &str) -> InferReply {
    InferReply::Refused { kind, detail: detail.to_owned() }
}

fn no_candidate(view: &MeshView, ranking: &Ranking, model: ModelName) -> InferError {
    if !view.deployments.iter().any(|row| row.deployment.model == model && row.deployment.replicas > 0) {
        return InferError::Unknown { model };
    }
    let mut counts = BTreeMap::<String, usize>::new();
    for (_, reason) in &ranking.refused {
        *counts.entry(told(reason)).or_default() += 1;
    }
    let reasons: Vec<_> = counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    InferError::NoCandidate { model, reasons: reasons.join(", ") }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;

//! `hedgerow join`: from a ticket to a membership.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hedgerow_attest::revoked::Revoked;
use hedgerow_attest::ticket::Ticket;
use tokio::sync::watch;

use super::failure::{CliError, Exit};
use super::init::{node_class, open_folder};
use super::member_arguments::JoinArguments;
use super::output::line;
use crate::config::ArtifactLimits;
use crate::identity::{Enrolled, Enrolment, JoinRequest, Lead, LeadRequest, NodeIdentity};
use crate::net::{JoinError, Net, NetConfig, NetError, Relaying, Socket, Trust};
use crate::observe::wall;
use crate::store::{DataFolder, Layout, Store, file};

/// Eight addresses with what came of each.
const FAILURE_BYTES_MAX: u64 = 16 << 10;
/// A ticket is a few hundred characters; a file longer than this is none.
const TICKET_BYTES_MAX: u64 = 64 << 10;

/// Redeems the ticket and keeps what it brought.
pub(super) async fn run(data: &Path, arguments: &JoinArguments) -> Result<Exit, CliError> {
    let ticket = decode(&read_ticket(arguments)?)?;
    let folder = open_folder(data)?;
    if folder.layout().membership().exists() {
        return Err(already_member(&folder, &ticket));
    }
    let enrolment = redeem(&folder, &ticket).await?;
    line(&format!("joined mesh {} as {} in region {}", ticket.mesh, enrolment.member().node(), ticket.region))?;
    line("next: hedgerow run")?;
    Ok(Exit::Ok)
}

/// A member joins nothing. A ticket of another mesh is told as such, since whoever brought it may have mistaken the folder.
fn already_member(folder: &DataFolder, ticket: &Ticket) -> CliError {
    let now = wall().unix_seconds();
    let own = Enrolled::load(folder.layout(), now).map(|enrolled| enrolled.root.mesh());
    let remedy = Some("start it with `hedgerow run`, or name another folder with --data DIR".to_owned());
    match own.map(|own| ticket.check(now, Some(own))) {
        Ok(Err(other_mesh)) => CliError::local("join", other_mesh, remedy),
        Ok(Ok(())) | Err(_) => {
            let root = folder.layout().root().display();
            CliError::local("join", anyhow::anyhow!("the data folder {root} belongs to a member already"), remedy)
        }
    }
}

/// Reads the text of a ticket and checks what can be checked without asking anybody.
pub(super) fn decode(text: &str) -> Result<Ticket, CliError> {
    let refused = |error: hedgerow_attest::ticket::TicketError| {
        let remedy = "ask the issuer for a fresh one: `hedgerow invite > ticket`";
        CliError::local("join", error, Some(remedy.to_owned()))
    };
    let ticket = Ticket::decode(text.trim()).map_err(refused)?;
    ticket.check(wall().unix_seconds(), None).map_err(refused)?;
    Ok(ticket)
}

/// Asks the ticket's issuer until it answers, and makes the folder that of a member.
pub(super) async fn redeem(folder: &DataFolder, ticket: &Ticket) -> Result<Enrolment, CliError> {
    let identity = NodeIdentity::load_or_make(folder.layout()).map_err(CliError::own)?;
    let store = Store::open(folder, ArtifactLimits::default()).map_err(CliError::own)?;
    let answer = Search::new(&identity, ticket).answer().await;
    let outcome = answer.map(|answer| Enrolment::accept(ticket, &identity, &answer, wall().unix_seconds()));
    let saved = match outcome {
        Err(unheard) => Err(unheard),
        Ok(Err(refused)) => Err(CliError::own(refused)),
        Ok(Ok(enrolment)) => enrolment.save(folder, &store.mesh).await.map(|()| enrolment).map_err(CliError::own),
    };
    store.close().await;
    keep_failure(folder.layout(), saved.as_ref().err());
    saved
}

/// Why the last attempt to join failed, for `hedgerow doctor`: containers and services join where nobody looks.
pub(super) fn last_failure(layout: &Layout) -> Option<String> {
    let bytes = file::read_bounded(&layout.join_failure(), FAILURE_BYTES_MAX).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// A note that cannot be written is missed by nobody but the doctor.
fn keep_failure(layout: &Layout, failure: Option<&CliError>) {
    let path = layout.join_failure();
    let kept = match failure {
        Some(error) => file::write(&path, format!("{}: {}\n", wall().unix_seconds(), error.report()).as_bytes()),
        None => std::fs::remove_file(&path),
    };
    match kept {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::debug!(%error, "the outcome of the attempt to join was not kept");
        }
        Ok(()) | Err(_) => {}
    }
}

/// The way to the issuer of a ticket: the addresses that are in it, then those to which members lead that answer there instead.
struct Search<'a> {
    identity: &'a NodeIdentity,
    ticket: &'a Ticket,
    tried: BTreeSet<SocketAddr>,
    /// What came of it, for people.
    told: Vec<String>,
    /// Where somebody else than the issuer answered.
    guides: Vec<SocketAddr>,
}

impl<'a> Search<'a> {
    fn new(identity: &'a NodeIdentity, ticket: &'a Ticket) -> Self {
        Self { identity, ticket, tried: BTreeSet::new(), told: Vec::new(), guides: Vec::new() }
    }

    /// The issuer's answer. Guides are asked in turn, and whoever is met on the way leads no further.
    async fn answer(&mut self) -> Result<Bytes, CliError> {
        if let Some(answer) = self.ask_at(&self.ticket.addresses).await {
            return Ok(answer);
        }
        for guide in std::mem::take(&mut self.guides) {
            let lead = self.lead(guide).await;
            if let Some(answer) = self.ask_at(lead.addresses()).await {
                return Ok(answer);
            }
        }
        let why = anyhow::anyhow!("the issuer did not answer at any address ({})", self.told.join("; "));
        let remedy = "see that it runs and that UDP reaches it; `hedgerow invite` there writes a ticket with its present addresses";
        Err(CliError::local("join", why, Some(remedy.to_owned())))
    }

    async fn ask_at(&mut self, addresses: &[SocketAddr]) -> Option<Bytes> {
        for address in addresses {
            if !self.tried.insert(*address) {
                continue;
            }
            match self.ask(*address).await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    if error.downcast_ref::<JoinError>().is_some_and(JoinError::is_someone_else) {
                        self.guides.push(*address);
                    }
                    self.told.push(format!("{address}: {error:#}"));
                }
            }
        }
        None
    }

    /// One request to one address.
    async fn ask(&self, address: SocketAddr) -> anyhow::Result<Bytes> {
        let class = node_class();
        let request = |exporter: &[u8; 32]| {
            let request = JoinRequest::new(self.ticket, self.identity, class, exporter, wall().unix_seconds());
            Bytes::from(request.encode())
        };
        let net = self.stranger(address)?;
        let answer = net.join_client(address, self.ticket.issuer_peer, request).await;
        net.shutdown().await;
        Ok(answer?)
    }

    /// Where a member knows the issuer to be.
    async fn lead(&mut self, guide: SocketAddr) -> Lead {
        let request = LeadRequest { issuer: self.ticket.issuer };
        let asked = async {
            let net = self.stranger(guide)?;
            let answer = net.ask_guide(guide, &request.encode()).await;
            net.shutdown().await;
            anyhow::Ok(answer?)
        };
        match asked.await {
            Ok(answer) => Lead::decode(&answer).unwrap_or_else(|| {
                self.told.push(format!("{guide}, asked for the way: an answer that is none"));
                Lead::default()
            }),
            Err(error) => {
                self.told.push(format!("{guide}, asked for the way: {error:#}"));
                Lead::default()
            }
        }
    }

    /// A socket for one address, which only the join lane uses.
    fn stranger(&self, address: SocketAddr) -> Result<Net, NetError> {
        let unspecified: IpAddr =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let stranger = Trust {
            node: self.identity.node(),
            transport: self.identity.transport().clone(),
            root: None,
            own: None,
            revoked: Revoked::default(),
        };
        let (_trust, trusted) = watch::channel(Arc::new(stranger));
        let socket = Socket::Bind(SocketAddr::new(unspecified, 0));
        let config = NetConfig { socket, trust: trusted, emulate: false, relaying: Relaying::Off, topics: Vec::new() };
        let (net, _events) = Net::start(config)?;
        Ok(net)
    }
}

fn read_ticket(arguments: &JoinArguments) -> Result<String, CliError> {
    match (&arguments.ticket_file, arguments.ticket.as_deref()) {
        (Some(path), _) => read_bounded(path),
        (None, Some("-")) => read_bounded(Path::new("/dev/stdin")),
        (None, Some(ticket)) => Ok(ticket.to_owned()),
        (None, None) => Err(CliError::Usage {
            what: "no ticket".to_owned(),
            remedy: "hedgerow join TICKET, or --ticket-file FILE, or `-` for standard input",
        }),
    }
}

/// Reads a file that may hold a ticket.
pub(super) fn read_bounded(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::ReadFile { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(TICKET_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

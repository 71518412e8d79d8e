//! Content gathered from several nodes: some honest, some not, some that go away.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hedgerow::content::{Content, GroupRange, Held, Holding, MemorySink, Outboard, Piece, RANGE_GROUPS_MAX, Sink};
use hedgerow::net::{Fault, GatherError, Gathered, Net, NetEvent};
use hedgerow_attest::id::NodeId;
use tokio::task::JoinHandle;

use super::support::{Mesh, Node};

/// Ranges of the content; the last one is short.
const RANGES: u32 = 16;

static CONTENT: LazyLock<(Bytes, Outboard)> = LazyLock::new(|| {
    let length = (15 << 20) + 12_345;
    let bytes: Vec<u8> = (0..length).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let outboard = Outboard::of(bytes.as_slice(), u64::from(length)).expect("memory is read");
    (bytes.into(), outboard)
});

fn content() -> (Bytes, Outboard) {
    CONTENT.clone()
}

/// What a node says when it is asked for content.
type Answer = Box<dyn FnMut() -> Option<Held> + Send>;

fn honest() -> Answer {
    let (bytes, outboard) = content();
    let holding = Arc::new(Holding::in_memory(outboard, bytes));
    Box::new(move || Some(Held::Whole(holding.clone())))
}

/// True hashes, and a false bit in each range.
fn liar() -> Answer {
    let (bytes, outboard) = content();
    let mut bytes = bytes.to_vec();
    for range in bytes.chunks_mut(1 << 20) {
        let at = range.len() / 3;
        range[at] ^= 4;
    }
    let holding = Arc::new(Holding::in_memory(outboard, bytes.into()));
    Box::new(move || Some(Held::Whole(holding.clone())))
}

/// Nodes 2, 3 and so on that answer so, and node 1, which knows them.
struct Fleet {
    asker: Node,
    sources: Vec<NodeId>,
    nets: Vec<Net>,
    _serving: Vec<JoinHandle<()>>,
}

impl Fleet {
    fn new(answers: Vec<Answer>) -> Self {
        let mesh = Mesh::new(1);
        let mut fleet = Self { asker: mesh.start(1), sources: Vec::new(), nets: Vec::new(), _serving: Vec::new() };
        for (number, mut answer) in (2..).zip(answers) {
            let node = mesh.start(number);
            fleet.asker.knows(&node);
            fleet.sources.push(node.id);
            fleet.nets.push(node.net.clone());
            let Node { mut events, .. } = node;
            fleet._serving.push(tokio::spawn(async move {
                let mut unanswered = Vec::new();
                while let Some(event) = events.recv().await {
                    if let NetEvent::HoldingRequest { respond, .. } = event {
                        match answer() {
                            Some(held) => respond.send(held),
                            None => unanswered.push(respond),
                        }
                    }
                }
            }));
        }
        fleet
    }

    async fn gather(&self, sink: Arc<dyn Sink>) -> Result<Gathered, GatherError> {
        self.asker.net.gather(&self.sources, sink).await
    }

    async fn gather_all(&self) -> (Gathered, Bytes) {
        let sink = Arc::new(MemorySink::new(content().1.content()));
        let gathered = self.gather(sink.clone()).await.expect("somebody brings it");
        (gathered, sink.take())
    }
}

fn brought(gathered: &Gathered) -> u32 {
    gathered.ranges.values().sum()
}

#[tokio::test]
async fn ranges_come_from_both_honest_nodes_and_the_liar_is_dropped() {
    let fleet = Fleet::new(vec![liar(), honest(), honest()]);
    let [lies, b, c] = fleet.sources[..] else { unreachable!("three of them") };
    let (gathered, bytes) = fleet.gather_all().await;
    assert_eq!(bytes, content().0);
    assert_eq!(gathered.faults, [(lies, Fault::Lied)]);
    assert_eq!(gathered.ranges.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([b, c]));
    assert_eq!(brought(&gathered), RANGES);
}

#[tokio::test]
async fn where_all_lie_nothing_is_kept_and_each_is_named() {
    let fleet = Fleet::new(vec![liar(), liar()]);
    let sink = Arc::new(MemorySink::new(content().1.content()));
    let Err(GatherError::Exhausted { faults }) = fleet.gather(sink.clone()).await else { panic!("nobody is honest") };
    assert_eq!(faults, [(fleet.sources[0], Fault::Lied), (fleet.sources[1], Fault::Lied)]);
    assert!(sink.take().iter().all(|byte| *byte == 0));
}

/// A sink that has only some of its groups missing, and tells of what it stores.
struct Watched {
    inner: Arc<MemorySink>,
    missing: Vec<GroupRange>,
    stored: Mutex<Vec<GroupRange>>,
    /// Stopped with the third range that is stored.
    stops: Option<Net>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

impl Watched {
    fn new(missing: Vec<GroupRange>, stops: Option<Net>) -> Arc<Self> {
        let inner = Arc::new(MemorySink::new(content().1.content()));
        Arc::new(Self { inner, missing, stored: Mutex::default(), stops })
    }
}

impl Sink for Watched {
    fn content(&self) -> Content {
        self.inner.content()
    }

    fn missing(&self) -> Vec<GroupRange> {
        self.missing.clone()
    }

    fn store(self: Arc<Self>, piece: Piece) -> BoxFuture<'static, io::Result<()>> {
        async move {
            let count = {
                let mut stored = self.stored.lock().expect("no holder of the lock panics");
                stored.push(piece.range());
                stored.len()
            };
            if let Some(net) = self.stops.as_ref().filter(|_| count == 3) {
                net.shutdown().await;
            }
            self.inner.clone().store(piece).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn what_a_node_that_goes_away_leaves_is_brought_by_another() {
    let fleet = Fleet::new(vec![honest(), honest()]);
    let whole = content().1.content().whole();
    let sink = Watched::new(vec![whole], Some(fleet.nets[1].clone()));
    let gathered = fleet.gather(sink.clone()).await.unwrap();
    assert_eq!(sink.inner.take(), content().0);
    // It is asked once more where there is time, and then is not there.
    let [(source, Fault::Broke | Fault::Unreachable)] = gathered.faults[..] else { panic!("{gathered:?}") };
    assert_eq!(source, fleet.sources[1]);
    assert!(gathered.ranges[&fleet.sources[0]] > RANGES / 2, "{gathered:?}");
}

#[tokio::test]
async fn only_what_is_missing_is_asked_for() {
    let fleet = Fleet::new(vec![honest(), honest()]);
    let missing = [GroupRange::new(70, 100).unwrap(), GroupRange::new(900, 3).unwrap()];
    let sink = Watched::new(missing.to_vec(), None);
    let gathered = fleet.gather(sink.clone()).await.unwrap();
    let mut stored = sink.stored.lock().unwrap().clone();
    stored.sort_unstable();
    assert_eq!(stored, missing.into_iter().flat_map(GroupRange::cut).collect::<Vec<_>>());
    assert_eq!((brought(&gathered), gathered.faults), (3, vec![]));
    assert!(stored.iter().all(|range| range.count() <= RANGE_GROUPS_MAX));

    let sink = Watched::new(vec![], None);
    assert_eq!(fleet.gather(sink).await.unwrap(), Gathered::default());
}

#[tokio::test]
async fn a_node_without_the_content_is_left_and_one_that_has_part_of_it_is_asked_again() {
    let mut whole = honest();
    let mut asked = 0;
    let partly: Answer = Box::new(move || {
        asked += 1;
        if asked == 1 { Some(Held::Partly) } else { whole() }
    });
    let fleet = Fleet::new(vec![Box::new(|| Some(Held::Nothing)), partly]);
    let (gathered, bytes) = fleet.gather_all().await;
    assert_eq!(bytes, content().0);
    assert_eq!(gathered.faults, [(fleet.sources[0], Fault::Absent), (fleet.sources[1], Fault::Partly)]);
    assert_eq!(gathered.ranges, BTreeMap::from([(fleet.sources[1], RANGES)]));
}

#[tokio::test]
async fn a_silent_node_holds_nothing_up() {
    let fleet = Fleet::new(vec![Box::new(|| None), honest()]);
    let start = Instant::now();
    let (gathered, bytes) = fleet.gather_all().await;
    assert_eq!(bytes, content().0);
    assert_eq!(gathered.ranges, BTreeMap::from([(fleet.sources[1], RANGES)]));
    assert!(start.elapsed().as_secs() < 8, "its range was asked elsewhere before it stalled");
}

#[tokio::test]
async fn nodes_that_cannot_be_reached_are_told_apart_from_none_at_all() {
    let fleet = Fleet::new(vec![]);
    let sink = Arc::new(MemorySink::new(content().1.content()));
    let nobody = fleet.gather(sink.clone()).await.unwrap_err();
    assert_eq!(nobody.to_string(), "none of 0 nodes brings all of the content");

    let fleet = Fleet::new(vec![honest()]);
    fleet.nets[0].shutdown().await;
    let unreachable = fleet.gather(sink).await.unwrap_err();
    let GatherError::Exhausted { faults } = &unreachable else { panic!("{unreachable:?}") };
    assert_eq!(*faults, [(fleet.sources[0], Fault::Unreachable)]);
    assert_ne!(unreachable.to_string(), nobody.to_string());
}

#[tokio::test]
async fn who_is_put_out_in_the_middle_gets_nothing_more() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (bytes, outboard) = content();
    let sink = Arc::new(MemorySink::new(outboard.content()));
    let (net, from, into) = (a.net.clone(), b.id, sink.clone());
    let gathering = tokio::spawn(async move { net.gather(&[from], into).await });
    let respond = b.event(|event| match event {
        NetEvent::HoldingRequest { respond, .. } => Some(respond),
        _ => None,
    });
    let respond = respond.await;
    b.trust.send_replace(Arc::new(mesh.trust_without(2, &[(1, 0)])));
    respond.send(Held::Whole(Arc::new(Holding::in_memory(outboard, bytes.clone()))));
    let outcome = gathering.await.unwrap();
    assert!(matches!(&outcome, Err(GatherError::Exhausted { faults }) if faults.len() == 1), "{outcome:?}");
    let taken = sink.take();
    let had = taken.iter().zip(&bytes).take_while(|(one, other)| one == other).count();
    assert!((1..2 << 20).contains(&had), "the range that was being answered, and no other: {had} bytes");
}

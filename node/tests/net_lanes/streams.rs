//! Requests that are answered by a stream, and the trace that any request carries.

use std::time::Duration;

use bytes::Bytes;
use hedgerow::net::limits::STREAMED_BYTES_MAX;
use hedgerow::net::{AnswerSink, NetEvent, Protocol, RemoteError, RequestError};
use hedgerow::observe::{TraceContext, current_trace, traced};

use super::support::{Mesh, Node, PATIENCE};

const WATCH: Protocol = Protocol::new("watch/1");

/// The sink of the next streamed request.
async fn watched(node: &mut Node) -> AnswerSink {
    node.event(|event| match event {
        NetEvent::StreamRequest { answers, .. } => Some(answers),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn answers_arrive_in_order_and_end_only_when_they_were_finished() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let asking = a.net.stream(b.id, WATCH, Bytes::from_static(b"from 0"), PATIENCE);
    let serving = b.event(|event| match event {
        NetEvent::StreamRequest { from, protocol, body, answers, .. } => Some((from, protocol, body, answers)),
        _ => None,
    });
    let (answers, (from, protocol, body, sink)) = tokio::join!(asking, serving);
    assert_eq!((from, protocol, &body[..]), (a.id, WATCH, &b"from 0"[..]));
    let mut answers = answers.unwrap();
    let giving = async {
        for number in 0..100_u8 {
            sink.give(Bytes::from(vec![number; 1_000])).await.unwrap();
        }
        sink.give(Bytes::from(vec![7; STREAMED_BYTES_MAX])).await.unwrap();
        sink.finish().await;
    };
    let taking = async {
        let mut taken = Vec::new();
        while let Some(answer) = answers.next().await {
            taken.push(answer.unwrap());
        }
        taken
    };
    let ((), taken) = tokio::join!(giving, taking);
    let expected = (0..100_u8).map(|number| vec![number; 1_000]).chain([vec![7; STREAMED_BYTES_MAX]]);
    assert!(taken.iter().map(|answer| answer.to_vec()).eq(expected));
    assert!(answers.next().await.is_none(), "it stays ended");
}

#[tokio::test]
async fn whoever_gives_waits_for_a_caller_that_takes_nothing() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (answers, sink) = tokio::join!(a.net.stream(b.id, WATCH, Bytes::new(), PATIENCE), watched(&mut b));
    let mut answers = answers.unwrap();
    let mut given = 0;
    // A window of the connection, what waits in the sink, and not more.
    while tokio::time::timeout(Duration::from_millis(500), sink.give(Bytes::from(vec![0; 1 << 20]))).await.is_ok() {
        given += 1;
        assert!(given < 64, "{given} MiB were taken in for a caller that reads nothing");
    }
    assert!(given >= 2, "what a window holds is given at once");
    let mut taken = 0;
    let taking = async {
        while taken < given {
            assert_eq!(answers.next().await.unwrap().unwrap().len(), 1 << 20);
            taken += 1;
        }
    };
    tokio::time::timeout(PATIENCE, taking).await.unwrap();
    sink.finish().await;
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_caller_that_has_seen_enough_frees_the_one_who_gives() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let (answers, sink) = tokio::join!(a.net.stream(b.id, WATCH, Bytes::new(), PATIENCE), watched(&mut b));
    let mut answers = answers.unwrap();
    sink.give(Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), "one");
    drop(answers);
    tokio::time::timeout(PATIENCE, sink.abandoned()).await.unwrap();
    assert!(sink.give(Bytes::from_static(b"two")).await.is_err());
}

#[tokio::test]
async fn each_end_that_is_none_is_told_from_the_others() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    for refusal in [RemoteError::UnknownProtocol, RemoteError::Refused, RemoteError::Failed] {
        let (answers, sink) = tokio::join!(a.net.stream(b.id, WATCH, Bytes::new(), PATIENCE), watched(&mut b));
        let mut answers = answers.unwrap();
        sink.give(Bytes::from_static(b"one")).await.unwrap();
        if refusal == RemoteError::Failed {
            drop(sink)
        } else {
            sink.fail(refusal).await
        }
        assert_eq!(answers.next().await.unwrap().unwrap(), "one");
        let error = answers.next().await.unwrap().unwrap_err();
        assert!(matches!(error, RequestError::Remote(told) if told == refusal), "{error:?}");
        assert!(answers.next().await.is_none());
    }
    let deadline = Duration::from_secs(1);
    let (answers, sink) = tokio::join!(a.net.stream(b.id, WATCH, Bytes::new(), deadline), watched(&mut b));
    let error = answers.unwrap().next().await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Deadline { after } if after == deadline), "{error:?}");
    tokio::time::timeout(PATIENCE, sink.abandoned()).await.unwrap();

    let (answers, sink) = tokio::join!(a.net.stream(b.id, WATCH, Bytes::new(), PATIENCE), watched(&mut b));
    sink.give(Bytes::from_static(b"one")).await.unwrap();
    let mut answers = answers.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), "one");
    b.net.shutdown().await;
    let error = answers.next().await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Lost(_) | RequestError::Remote(RemoteError::Failed)), "{error:?}");
    drop(sink);
}

#[tokio::test]
async fn a_trace_goes_with_every_request_of_its_task() {
    let mesh = Mesh::new(1);
    let (a, mut b) = (mesh.start(1), mesh.start(2));
    a.knows(&b);
    let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let to = b.id;
    for expected in [None, trace] {
        let asking = traced(expected, async {
            assert_eq!(current_trace(), expected);
            a.net.request(to, WATCH, Bytes::new(), PATIENCE).await
        });
        let serving = b.event(|event| match event {
            NetEvent::Request { trace, respond, .. } => {
                respond.send(Ok(Bytes::new()));
                Some(trace)
            }
            _ => None,
        });
        let (answer, carried) = tokio::join!(asking, serving);
        assert_eq!((answer.unwrap(), carried), (Bytes::new(), expected));

        let asking = traced(expected, a.net.stream(to, WATCH, Bytes::new(), PATIENCE));
        let serving = b.event(|event| match event {
            NetEvent::StreamRequest { trace, .. } => Some(trace),
            _ => None,
        });
        let (answers, carried) = tokio::join!(asking, serving);
        assert_eq!(carried, expected);
        drop(answers);
    }
}

//! What stands before the body of a request.
//!
//! Version 1 is `1 name_len:u8 name deadline_us:u64 body_len:u32`. Version 2 has between the deadline and the length
//! `answers:u8 trace_len:u8 trace`: 0 for one answer or 1 for a stream of them, and the trace of the request, 25 bytes or none.
//! Integers are little endian. What version 1 can say is said in it, to peers of any release.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::{FrameError, Protocol, bounded_len, read_len};
use crate::net::limits::{PROTOCOL_NAME_BYTES_MAX, REQUEST_BODY_BYTES_MAX, REQUEST_DEADLINE_MAX};
use crate::observe::{TRACE_BYTES, TraceContext};

/// What stands before a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) protocol: Protocol,
    /// Time the caller still waits, cut to [`REQUEST_DEADLINE_MAX`].
    pub(crate) remaining: Duration,
    pub(crate) answers: AnswerCount,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) body_bytes: usize,
}

/// How many answers the caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerCount {
    One,
    Stream,
}

pub(crate) async fn write_request<W: AsyncWrite + Unpin>(
    stream: &mut W,
    head: &RequestHead,
    body: &[u8],
) -> Result<(), FrameError> {
    let body_len = bounded_len(body.len(), REQUEST_BODY_BYTES_MAX)?;
    let name = head.protocol.name().as_bytes();
    let name_len = u8::try_from(name.len()).expect("a protocol name has at most 32 bytes");
    let deadline_us = u64::try_from(head.remaining.as_micros()).unwrap_or(u64::MAX);
    let is_plain = head.answers == AnswerCount::One && head.trace.is_none();
    let mut bytes = Vec::with_capacity(16 + TRACE_BYTES + name.len());
    bytes.extend([if is_plain { 1 } else { 2 }, name_len]);
    bytes.extend(name);
    bytes.extend(deadline_us.to_le_bytes());
    if !is_plain {
        bytes.push(u8::from(head.answers == AnswerCount::Stream));
        let trace = head.trace.map(TraceContext::to_bytes);
        bytes.push(trace.map_or(0, |trace| u8::try_from(trace.len()).expect("25 bytes")));
        bytes.extend(trace.into_iter().flatten());
    }
    bytes.extend(body_len.to_le_bytes());
    stream.write_all(&bytes).await?;
    stream.write_all(body).await?;
    Ok(())
}

pub(crate) async fn read_request_head<R: AsyncRead + Unpin>(stream: &mut R) -> Result<RequestHead, FrameError> {
    let version = stream.read_u8().await?;
    if !(1..=2).contains(&version) {
        return Err(FrameError::Version { got: version });
    }
    let name_len = usize::from(stream.read_u8().await?);
    if name_len > PROTOCOL_NAME_BYTES_MAX {
        return Err(FrameError::Name);
    }
    let mut name = vec![0; name_len];
    stream.read_exact(&mut name).await?;
    let protocol = Protocol::parse(name)?;
    let remaining = Duration::from_micros(stream.read_u64_le().await?).min(REQUEST_DEADLINE_MAX);
    let (answers, trace) = match version {
        1 => (AnswerCount::One, None),
        _ => (read_answers(stream).await?, read_trace(stream).await?),
    };
    let body_bytes = read_len(stream, REQUEST_BODY_BYTES_MAX).await?;
    Ok(RequestHead { protocol, remaining, answers, trace, body_bytes })
}

async fn read_answers<R: AsyncRead + Unpin>(stream: &mut R) -> Result<AnswerCount, FrameError> {
    match stream.read_u8().await? {
        0 => Ok(AnswerCount::One),
        1 => Ok(AnswerCount::Stream),
        got => Err(FrameError::Code { got }),
    }
}

/// A trace whose ids name nothing is none.
async fn read_trace<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Option<TraceContext>, FrameError> {
    match usize::from(stream.read_u8().await?) {
        0 => Ok(None),
        TRACE_BYTES => {
            let mut trace = [0; TRACE_BYTES];
            stream.read_exact(&mut trace).await?;
            Ok(TraceContext::from_bytes(&trace))
        }
        got => Err(FrameError::TooLong { got, max: TRACE_BYTES }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::runtime::Builder;

    use super::super::frame::read_body;
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn head(answers: AnswerCount, trace: Option<TraceContext>, body: &[u8]) -> RequestHead {
        let (protocol, remaining) = (Protocol::new("infer/1"), Duration::from_millis(250));
        RequestHead { protocol, remaining, answers, trace, body_bytes: body.len() }
    }

    fn trace() -> Option<TraceContext> {
        TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    }

    #[test]
    fn both_versions_are_frozen() {
        let v1 = "0107696e6665722f3190d003000000000004000000626f6479";
        let v2 = "0207696e6665722f3190d0030000000000";
        let traced = "190af7651916cd43dd8448eb211c80319cb7ad6b716920333101";
        for (head, hex) in [
            (head(AnswerCount::One, None, b"body"), v1.to_owned()),
            (head(AnswerCount::One, trace(), b"body"), format!("{v2}00{traced}04000000626f6479")),
            (head(AnswerCount::Stream, None, b"body"), format!("{v2}010004000000626f6479")),
            (head(AnswerCount::Stream, trace(), b"body"), format!("{v2}01{traced}04000000626f6479")),
        ] {
            let mut frame = Vec::new();
            run(write_request(&mut frame, &head, b"body")).unwrap();
            assert_eq!(data_encoding::HEXLOWER.encode(&frame), hex);
            let mut rest = frame.as_slice();
            assert_eq!(run(read_request_head(&mut rest)).unwrap(), head);
            assert_eq!(rest, b"body");
        }
    }

    #[test]
    fn other_versions_names_and_forms_are_refused() {
        let read = |bytes: &[u8]| run(read_request_head(&mut &*bytes)).unwrap_err();
        assert!(matches!(read(&[3]), FrameError::Version { got: 3 }));
        for version in [1, 2] {
            assert!(matches!(read(&[version, 0]), FrameError::Name));
            assert!(matches!(read(&[version, 33]), FrameError::Name));
            assert!(matches!(read(&[version, 1, b'A']), FrameError::Name));
            assert!(matches!(read(&[version, 1]), FrameError::Stream(_)));
        }
        let second = [2, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(matches!(read(&[&second[..], &[2]].concat()), FrameError::Code { got: 2 }));
        let short = FrameError::TooLong { got: 24, max: TRACE_BYTES };
        assert_eq!(read(&[&second[..], &[0, 24]].concat()).to_string(), short.to_string());
    }

    proptest! {
        #[test]
        fn a_request_reads_back(
            name in "[a-z0-9/-]{1,32}",
            remaining_us in 0..120_000_000_u64,
            is_streamed: bool,
            is_traced: bool,
            body in proptest::collection::vec(any::<u8>(), 0..512),
        ) {
            let head = RequestHead {
                protocol: Protocol::parse(name.into_bytes()).unwrap(),
                remaining: Duration::from_micros(remaining_us),
                answers: if is_streamed { AnswerCount::Stream } else { AnswerCount::One },
                trace: trace().filter(|_| is_traced),
                body_bytes: body.len(),
            };
            let mut frame = Vec::new();
            run(write_request(&mut frame, &head, &body)).unwrap();
            let mut rest = frame.as_slice();
            let read = run(read_request_head(&mut rest)).unwrap();
            prop_assert_eq!(run(read_body(&mut rest, read.body_bytes)).unwrap(), body);
            prop_assert_eq!(read, head);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            drop(run(read_request_head(&mut bytes.as_slice())));
        }
    }
}

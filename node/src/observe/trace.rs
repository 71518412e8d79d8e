//! The trace to which a request belongs, as W3C Trace Context (Level 1, 2021-11-23) names it, on its way through this node.
//!
//! This node records no spans: it passes on what it was given, to every node that works for the request.

use std::fmt;
use std::future::Future;

/// `traceparent`: which trace, and the span under which the next one begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    parent: [u8; 8],
    flags: u8,
}

/// Bytes of a trace context between nodes: trace, parent, flags.
pub const TRACE_BYTES: usize = 25;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Does some work as part of a trace, if there is one.
pub async fn traced<T>(trace: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    match trace {
        Some(trace) => CURRENT.scope(trace, work).await,
        None => work.await,
    }
}

/// The trace to which the work of this task belongs.
pub fn current_trace() -> Option<TraceContext> {
    CURRENT.try_with(|trace| *trace).ok()
}

impl TraceContext {
    /// Reads the header. Of a version that is not known only what stands in version 00 is used (§3.2.2.1); a header that is none
    /// is passed over.
    pub fn parse(header: &str) -> Option<Self> {
        let mut fields = header.split('-');
        let version = bytes::<1>(fields.next()?)?[0];
        let trace = bytes(fields.next()?)?;
        let parent = bytes(fields.next()?)?;
        let flags = bytes::<1>(fields.next()?)?[0];
        let is_whole = match version {
            0 => fields.next().is_none(),
            255 => false,
            _ => true,
        };
        if is_whole { Self::of(trace, parent, flags) } else { None }
    }

    /// Reads what a peer sent.
    pub fn from_bytes(bytes: &[u8; TRACE_BYTES]) -> Option<Self> {
        let (trace, rest) = bytes.split_first_chunk()?;
        let (parent, flags) = rest.split_first_chunk()?;
        Self::of(*trace, *parent, *flags.first()?)
    }

    /// The bytes for a peer.
    pub fn to_bytes(self) -> [u8; TRACE_BYTES] {
        let mut bytes = [0; TRACE_BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.parent);
        bytes[24] = self.flags;
        bytes
    }

    /// Ids of zeros only name nothing.
    fn of(trace: [u8; 16], parent: [u8; 8], flags: u8) -> Option<Self> {
        (trace != [0; 16] && parent != [0; 8]).then_some(Self { trace, parent, flags })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace), hex(&self.parent), self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Lower case only, as the specification has it.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    data_encoding::HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_reads_back_and_others_are_passed_over() {
        let trace = TraceContext::parse(HEADER).unwrap();
        assert_eq!(trace.to_string(), HEADER);
        assert_eq!(TraceContext::from_bytes(&trace.to_bytes()), Some(trace));
        assert_eq!(TraceContext::parse(&HEADER.replacen("00", "cc", 1)), Some(trace), "a later version");
        assert_eq!(TraceContext::parse(&format!("cc{}-what-the-future-holds", &HEADER[2..])), Some(trace));
        for none in [
            "",
            "00",
            &HEADER[..54],
            &format!("{HEADER}-00"),
            &HEADER.to_uppercase(),
            &HEADER.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_eq!(TraceContext::parse(none), None, "{none}");
        }
        assert_eq!(TraceContext::from_bytes(&[0; TRACE_BYTES]), None);
    }

    #[tokio::test]
    async fn a_task_has_the_trace_of_its_work_and_no_other() {
        let trace = TraceContext::parse(HEADER);
        assert_eq!(current_trace(), None);
        let seen = traced(trace, async {
            let elsewhere = tokio::spawn(async { current_trace() });
            (current_trace(), elsewhere.await.unwrap())
        });
        assert_eq!(seen.await, (trace, None));
        assert_eq!(traced(None, async { current_trace() }).await, None);
    }
}

//! Frames of the rpc lane: fixtures, round trips and refusals.

use proptest::prelude::*;
use tokio::runtime::Builder;

use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn answers_are_frozen_and_read_back() {
    let mut frame = Vec::new();
    run(write_answer(&mut frame, Ok(b"ok"))).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&frame), "0100020000006f6b");
    assert_eq!(run(read_answer(&mut frame.as_slice())).unwrap(), Ok(Bytes::from_static(b"ok")));
    for (code, error) in (1_u8..).zip(RemoteError::ALL) {
        let mut frame = Vec::new();
        run(write_answer(&mut frame, Err(error))).unwrap();
        assert_eq!(frame, [1, code, 0, 0, 0, 0]);
        assert_eq!(run(read_answer(&mut frame.as_slice())).unwrap(), Err(error));
    }
}

#[test]
fn an_answer_that_does_not_fit_becomes_a_typed_error() {
    let mut frame = Vec::new();
    let body = vec![0; REQUEST_BODY_BYTES_MAX + 1];
    run(write_answer(&mut frame, Ok(&body))).unwrap();
    assert_eq!(run(read_answer(&mut frame.as_slice())).unwrap(), Err(RemoteError::TooLarge));
}

#[test]
fn an_ordered_stream_is_frozen() {
    let mut frame = Vec::new();
    run(write_stream_head(&mut frame, Lane::Session)).unwrap();
    run(write_message(&mut frame, b"abc")).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&frame), "010203000000616263");
    let mut rest = frame.as_slice();
    assert_eq!(run(read_stream_head(&mut rest)).unwrap(), Lane::Session);
    assert_eq!(run(read_message(&mut rest)).unwrap(), Bytes::from_static(b"abc"));
}

#[test]
fn a_block_of_the_join_lane_is_frozen() {
    let mut frame = Vec::new();
    run(write_block(&mut frame, b"abc", 3)).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&frame), "0103000000616263");
    assert_eq!(run(read_block(&mut frame.as_slice(), 3)).unwrap(), Bytes::from_static(b"abc"));
    assert!(matches!(run(read_block(&mut frame.as_slice(), 2)), Err(FrameError::TooLong { got: 3, max: 2 })));
    frame[0] = 2;
    assert!(matches!(run(read_block(&mut frame.as_slice(), 3)), Err(FrameError::Version { got: 2 })));
}

#[test]
fn a_probe_datagram_is_frozen() {
    assert_eq!(datagram(b"abc"), Bytes::from_static(b"\x01abc"));
}

#[test]
fn a_length_above_the_bound_is_refused_before_reading() {
    let len = u32::try_from(MESSAGE_BYTES_MAX).unwrap() + 1;
    let error = run(read_message(&mut len.to_le_bytes().as_slice())).unwrap_err();
    assert!(matches!(error, FrameError::TooLong { got, max: MESSAGE_BYTES_MAX } if got == MESSAGE_BYTES_MAX + 1));
    let mut written = Vec::new();
    let message = vec![0; MESSAGE_BYTES_MAX + 1];
    let error = run(write_message(&mut written, &message)).unwrap_err();
    assert!(matches!(error, FrameError::TooLong { .. }));
    assert!(written.is_empty());
}

#[test]
fn other_codes_are_refused() {
    let lane = run(read_stream_head(&mut [1_u8, 9].as_slice())).unwrap_err();
    assert!(matches!(lane, FrameError::Code { got: 9 }));
    let answer = run(read_answer(&mut [1_u8, 7, 0, 0, 0, 0].as_slice())).unwrap_err();
    assert!(matches!(answer, FrameError::Code { got: 7 }));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        drop(run(read_answer(&mut bytes.as_slice())));
        drop(run(read_stream_head(&mut bytes.as_slice())));
        drop(run(read_message(&mut bytes.as_slice())));
    }
}

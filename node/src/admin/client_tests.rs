use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_call_sends_json_and_reads_status_headers_and_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = AdminClient::in_data_dir(folder.path());
    let node = answer_once(
        client.socket(),
        b"HTTP/1.1 202 Accepted\r\nETag: \"e1\"\r\nContent-Length: 11\r\n\r\n{\"acked\":1}".to_vec(),
    );

    let answer = client
        .exchange(Method::PATCH, "/mesh/v1/sessions/s?quorum=2", &[("if-match", "\"e0\"")], r#"{"set":{}}"#)
        .await
        .expect("an answer");

    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("etag"), Some("\"e1\""));
    assert_eq!(answer.json_or_refusal::<Value>("write").expect("JSON"), json!({ "acked": 1 }));
    let request = node.join().expect("the node ends");
    assert!(request.starts_with("PATCH /mesh/v1/sessions/s?quorum=2 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.contains("if-match: \"e0\"\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"set\":{}}"), "{request}");
}

#[tokio::test]
async fn a_missing_socket_and_a_dead_one_both_mean_no_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = AdminClient::in_data_dir(folder.path());
    let missing = client.get::<Value>("ask", "/").await;
    assert!(matches!(missing, Err(ClientError::NoNode { .. })), "{missing:?}");

    drop(UnixListener::bind(client.socket()).expect("bind"));
    let dead = client.get::<Value>("ask", "/").await;
    assert!(matches!(dead, Err(ClientError::NoNode { .. })), "{dead:?}");
}

#[tokio::test]
async fn a_node_that_never_answers_is_late() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = AdminClient::in_data_dir(folder.path()).patience(Duration::from_millis(30));
    let _silent = UnixListener::bind(client.socket()).expect("bind");
    let late = client.get::<Value>("ask", "/").await;
    assert!(matches!(late, Err(ClientError::Late { .. })), "{late:?}");
}

#[tokio::test]
async fn an_answer_above_the_limit_is_not_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = AdminClient::in_data_dir(folder.path());
    let mut flood = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    flood.resize(flood.len() + ANSWER_BYTES_MAX + 1, b' ');
    let node = answer_once(client.socket(), flood);
    let answer = client.get::<Value>("ask", "/").await;
    assert!(matches!(answer, Err(ClientError::TooLarge)), "{answer:?}");
    node.join().expect("the node ends");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_an_http_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = AdminClient::in_data_dir(folder.path());
    let node = answer_once(client.socket(), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec());
    let answer = client.get::<Value>("ask", "/").await;
    assert!(matches!(answer, Err(ClientError::Http { .. })), "{answer:?}");
    node.join().expect("the node ends");
}

/// Takes one request, answers with these bytes and closes; the thread returns the request as text.
fn answer_once(socket: &Path, answer: Vec<u8>) -> JoinHandle<String> {
    let listener = UnixListener::bind(socket).expect("bind");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).expect("a request");
            request.extend_from_slice(&chunk[..read]);
            if is_complete(&request) || read == 0 {
                break;
            }
        }
        // The client may hang up before it has read everything.
        if let Err(error) = stream.write_all(&answer) {
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        String::from_utf8(request).expect("text")
    })
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a length"))
}

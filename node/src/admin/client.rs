//! JSON over HTTP to one node: through the admin socket in its data folder, or its REST port on loopback.
//!
//! Every call opens a connection of its own, so that a client holds nothing between calls and outlives restarts of the
//! node. The admin socket also carries the REST routes; a client of it reaches both.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::answer::{ANSWER_BYTES_MAX, Answer, ClientError, Door};
use super::lines::Lines;

/// Calls one node over either door.
#[derive(Clone, Debug)]
pub struct HttpClient {
    door: Door,
    patience: Duration,
}

/// Calls the node whose data folder holds the socket.
#[derive(Clone, Debug)]
pub struct AdminClient {
    socket: PathBuf,
    http: HttpClient,
}

/// An answer whose body is still to be read, and the task of its connection.
type Opened = (Response<Incoming>, JoinSet<Result<(), hyper::Error>>);

impl HttpClient {
    /// A client of a REST port; nothing is opened yet.
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { door: Door::Port(address), patience: PATIENCE }
    }

    /// A client of a unix socket; nothing is opened yet.
    pub const fn unix(socket: PathBuf) -> Self {
        Self { door: Door::Socket(socket), patience: PATIENCE }
    }

    /// The same client with another limit on a whole call, connecting included; the default is ten seconds.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// `GET`; the path begins with `/` and may carry a query. `operation` is a verb phrase for the error.
    pub async fn get<T: DeserializeOwned>(&self, operation: &'static str, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, path, &[], Bytes::new()).await?.json_or_refusal(operation)
    }

    /// `POST` with a JSON body.
    pub async fn post<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.send(Method::POST, operation, path, body).await
    }

    /// `POST` with a body of bytes.
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<T, ClientError> {
        let headers = [(CONTENT_TYPE.as_str(), "application/octet-stream")];
        self.exchange(Method::POST, path, &headers, body).await?.json_or_refusal(operation)
    }

    /// `PUT` with a JSON body.
    pub async fn put<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.send(Method::PUT, operation, path, body).await
    }

    /// One exchange, its content type JSON unless a header says otherwise. Every complete answer is `Ok`, refusals
    /// too: a `412` or a `202` is often what the caller came for.
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str())) {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for &(name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body.into())).map_err(ClientError::Form)?;
        self.in_time(async {
            // The set ends the connection's task with this call, also when the call is cancelled.
            let (response, _connection) = self.connect_and_send(request).await?;
            self.whole(response).await
        })
        .await
    }

    /// `GET` of an answer that is read line by line; the limit on a call is for its beginning.
    pub async fn lines(&self, operation: &'static str, path: &str) -> Result<Lines, ClientError> {
        let request = Request::builder().uri(path).header(HOST, "localhost").body(Full::new(Bytes::new()));
        let request = request.map_err(ClientError::Form)?;
        self.in_time(async {
            let (response, connection) = self.connect_and_send(request).await?;
            if !response.status().is_success() {
                return Err(self.whole(response).await?.refusal(operation));
            }
            Ok(Lines::new(self.door.clone(), response.into_body(), connection))
        })
        .await
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        let late = || ClientError::Late { door: self.door.clone(), patience: self.patience };
        tokio::time::timeout(self.patience, call).await.unwrap_or_else(|_elapsed| Err(late()))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        operation: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Encode)?;
        self.exchange(method, path, &[], body).await?.json_or_refusal(operation)
    }

    async fn connect_and_send(&self, request: Request<Full<Bytes>>) -> Result<Opened, ClientError> {
        let closed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NoNode { door: self.door.clone(), source }
            }
            _ => ClientError::Io { door: self.door.clone(), source },
        };
        match &self.door {
            Door::Socket(path) => self.send_over(UnixStream::connect(path).await.map_err(closed)?, request).await,
            Door::Port(address) => self.send_over(TcpStream::connect(address).await.map_err(closed)?, request).await,
        }
    }

    async fn send_over<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Opened, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |source| ClientError::Http { door: self.door.clone(), source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // What the connection itself reports reaches the sender as well.
        let mut connections = JoinSet::new();
        connections.spawn(connection);
        Ok((sender.send_request(request).await.map_err(broken)?, connections))
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Answer, ClientError> {
        let broken = |source| ClientError::Http { door: self.door.clone(), source };
        let (parts, body) = response.into_parts();
        let body = read_bounded(body).await?.map_err(broken)?;
        let headers = parts
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        Ok(Answer { status: parts.status.as_u16(), headers: headers.collect(), body })
    }
}

impl AdminClient {
    /// A client of the admin socket at this path; nothing is opened yet.
    pub fn new(socket: PathBuf) -> Self {
        Self { http: HttpClient::unix(socket.clone()), socket }
    }

    /// A client of the node whose data is in `data`.
    pub fn in_data_dir(data: &Path) -> Self {
        Self::new(data.join(SOCKET_NAME))
    }

    /// The same client with another limit on a whole call; see [`HttpClient::patience`].
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { http: self.http.patience(patience), ..self }
    }

    /// Where the socket is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// See [`HttpClient::get`].
    pub async fn get<T: DeserializeOwned>(&self, operation: &'static str, path: &str) -> Result<T, ClientError> {
        self.http.get(operation, path).await
    }

    /// See [`HttpClient::post`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.http.post(operation, path, body).await
    }

    /// See [`HttpClient::post_bytes`].
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<T, ClientError> {
        self.http.post_bytes(operation, path, body).await
    }

    /// See [`HttpClient::put`].
    pub async fn put<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        self.http.put(operation, path, body).await
    }

    /// See [`HttpClient::exchange`].
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientError> {
        self.http.exchange(method, path, headers, body).await
    }

    /// See [`HttpClient::lines`].
    pub async fn lines(&self, operation: &'static str, path: &str) -> Result<Lines, ClientError> {
        self.http.lines(operation, path).await
    }
}

async fn read_bounded(mut body: Incoming) -> Result<Result<Bytes, hyper::Error>, ClientError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) if read.len() + data.len() > ANSWER_BYTES_MAX => return Err(ClientError::TooLarge),
            Ok(Ok(data)) => read.extend_from_slice(&data),
            Ok(Err(_trailers)) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(read.freeze()))
}

/// The name of the admin socket in a data folder.
pub const SOCKET_NAME: &str = "admin.sock";

/// What a call waits for by default; writes that wait for a quorum stay below it.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

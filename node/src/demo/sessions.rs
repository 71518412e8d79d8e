//! Step 5: what a session promises, with the network whole and in pieces.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

use super::links;
use super::mesh::{DemoMesh, DemoNode};
use super::observe::until;
use super::report::Report;
use crate::admin::Answer;

/// A session as an application holds it.
#[derive(Debug)]
pub(super) struct Session {
    /// Its id.
    pub(super) id: String,
}

/// Writes, reads elsewhere, edits on both sides of a cut, heals, and writes on a stale read.
pub(super) async fn run(mesh: &DemoMesh, report: &mut Report) -> Result<Session> {
    let session = Session::named(mesh.node("n1")?, "cart-7").await?;
    report.check("written with W=2 through n1, read through n4 with its token", write_and_read(mesh, &session)).await?;
    report
        .check("edits on both sides of a cut are 202, 1 of 2, and merge after healing", part_and_merge(mesh, &session))
        .await?;
    report.check("a stale If-Match is 412 with the current value", refuse_stale(mesh, &session)).await?;
    Ok(session)
}

impl Session {
    /// A session of the class `default`, born in the cell of `node`.
    pub(super) async fn named(node: &DemoNode, key: &str) -> Result<Self> {
        let body = json!({ "class": "default", "namespace": "demo", "key": key });
        let answer: Value = node.rest.post("name a session", "/mesh/v1/sessions", &body).await?;
        Ok(Self { id: answer["id"].as_str().context("the answer holds no id")?.to_owned() })
    }

    /// Sets values; the answer may be 200, 202 or 412.
    pub(super) async fn write(
        &self,
        node: &DemoNode,
        set: &Value,
        query: &str,
        if_match: Option<&str>,
    ) -> Result<Answer> {
        let path = format!("/mesh/v1/sessions/{}?{query}", self.id);
        let headers: Vec<_> = if_match.map(|etag| ("if-match", etag)).into_iter().collect();
        Ok(node.rest.exchange(Method::PATCH, &path, &headers, json!({ "set": set }).to_string()).await?)
    }

    /// The value, at least as new as `token` says.
    pub(super) async fn read(&self, node: &DemoNode, token: Option<&str>) -> Result<Value> {
        let headers: Vec<_> = token.map(|token| ("hedgerow-token", token)).into_iter().collect();
        let answer = node.rest.exchange(Method::GET, &format!("/mesh/v1/sessions/{}", self.id), &headers, "").await?;
        Ok(answer.json_or_refusal("read the session")?)
    }
}

async fn write_and_read(mesh: &DemoMesh, session: &Session) -> Result<String> {
    let answer = session.write(mesh.node("n1")?, &json!({ "items/milk": 2 }), "quorum=2", None).await?;
    let written: Value = answer.json_or_refusal("write the session")?;
    ensure!(answer.status == 200 && written["acked"].as_u64() >= Some(2), "answered {}: {written}", answer.status);
    let token = written["token"].as_str().context("the answer holds no token")?;
    let read = session.read(mesh.node("n4")?, Some(token)).await?;
    ensure!(read["value"]["items"]["milk"] == 2, "read {}", read["value"]);
    Ok(format!("durable on {} nodes, n4 of another region reads {}", written["acked"], read["value"]))
}

/// The three replicas of the class are parted from one another, so that no side has two of them.
async fn part_and_merge(mesh: &DemoMesh, session: &Session) -> Result<String> {
    links::set(mesh, &["n1", "n2", "n3"]).await?;
    let mut seen = Vec::new();
    for (name, set) in [("n1", json!({ "items/bread": 1 })), ("n2", json!({ "items/eggs": 6 }))] {
        let answer = session.write(mesh.node(name)?, &set, "quorum=2&timeout_ms=400", None).await?;
        let body: Value = answer.json_or_refusal("write the session")?;
        seen.push(format!("{name} answered {}, {} of {}", answer.status, body["acked"], body["wanted"]));
        if !(answer.status == 202 && body["acked"] == 1 && body["wanted"] == 2) {
            links::set(mesh, &[]).await?;
            anyhow::bail!("{}", seen.join("; "));
        }
    }
    links::set(mesh, &[]).await?;
    let expected = json!({ "milk": 2, "bread": 1, "eggs": 6 });
    let ((), took) = until("both edits on every replica", Duration::from_secs(20), async || {
        for name in ["n1", "n2", "n3"] {
            if session.read(mesh.node(name)?, None).await?["value"]["items"] != expected {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    Ok(format!("{}; merged {:.1} s after healing", seen.join("; "), took.as_secs_f64()))
}

async fn refuse_stale(mesh: &DemoMesh, session: &Session) -> Result<String> {
    let stale = session.read(mesh.node("n2")?, None).await?["etag"].as_str().context("no etag")?.to_owned();
    let node = mesh.node("n3")?;
    let fresh = session.write(node, &json!({ "items/eggs": 12 }), "", Some(&stale)).await?;
    ensure!(fresh.status == 200, "the first writer was answered {}", fresh.status);
    let refused = session.write(node, &json!({ "items/eggs": 0 }), "", Some(&stale)).await?;
    let body: Value = serde_json::from_slice(&refused.body).context("read the refusal")?;
    ensure!(refused.status == 412 && body["value"]["items"]["eggs"] == 12, "answered {}: {body}", refused.status);
    Ok(format!("eggs stay {}", body["value"]["items"]["eggs"]))
}

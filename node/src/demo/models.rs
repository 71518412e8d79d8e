//! Step 3: two signed models where the rule wants them, and a spoiled copy turned away.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::Value;

use super::embedded::{DIGITS_ONNX, FRAUD_ONNX};
use super::mesh::{DemoMesh, REGIONS};
use super::observe::until;
use super::report::Report;

/// Copies of each model that the demonstration asks for in each region.
const REPLICAS_PER_REGION: usize = 2;

/// Pushes both models through `n1`, waits until they are warm, and pushes a spoiled copy.
pub(super) async fn run(folder: &Path, mesh: &DemoMesh, report: &mut Report) -> Result<()> {
    for (name, onnx) in [("digits", DIGITS_ONNX), ("fraud", FRAUD_ONNX)] {
        report.check(&format!("{name} is signed and pushed"), push(folder, mesh, name, onnx)).await?;
    }
    for name in ["digits", "fraud"] {
        report.check(&format!("{name} is warm on two nodes of each region"), warm(mesh, name)).await?;
    }
    report.check("a copy with one flipped byte is refused", refuse_spoiled(folder, mesh)).await?;
    Ok(())
}

async fn push(folder: &Path, mesh: &DemoMesh, name: &str, onnx: &[u8]) -> Result<String> {
    let file = folder.join(format!("{name}.onnx"));
    std::fs::write(&file, onnx).context("write the ONNX file")?;
    let file = file.display().to_string();
    let bundle = folder.join(format!("{name}.bundle")).display().to_string();
    let words = ["model", "push", &file, "--name", name, "--bundle-out", &bundle, "-o", "json"];
    let answer: Value = serde_json::from_str(&mesh.operate("n1", &words).await?).context("read the answer")?;
    let digest = answer["digest"].as_str().context("the answer names no digest")?;
    Ok(format!(
        "version {}, manifest sha256:{}…",
        answer["version"].as_str().unwrap_or("?"),
        digest.get(..12).unwrap_or(digest)
    ))
}

async fn warm(mesh: &DemoMesh, name: &str) -> Result<String> {
    let (holders, _) = until("the copies are warm", Duration::from_secs(30), async || {
        let mut holders = Vec::new();
        for region in REGIONS {
            let mut here = Vec::new();
            for node in mesh.region(region) {
                let models = node.status().await?.models;
                here.extend(
                    models.iter().any(|model| model.name == name && model.state == "warm").then_some(node.name),
                );
            }
            if here.len() != REPLICAS_PER_REGION {
                return Ok(None);
            }
            holders.extend(here);
        }
        Ok(Some(holders))
    })
    .await?;
    Ok(holders.join(", "))
}

/// Flips one bit in the middle of what was pushed, where the weights are.
async fn refuse_spoiled(folder: &Path, mesh: &DemoMesh) -> Result<String> {
    let mut bundle = std::fs::read(folder.join("digits.bundle")).context("read what was pushed")?;
    let middle = bundle.len() / 2;
    bundle[middle] ^= 1;
    let headers = [("content-type", "application/octet-stream")];
    let answer = mesh.node("n1")?.admin.exchange(Method::POST, "/admin/v1/models", &headers, bundle).await?;
    let problem: Value = serde_json::from_slice(&answer.body).context("read the refusal")?;
    let code = problem["type"].as_str().unwrap_or_default();
    ensure!(answer.status == 422 && code == "artifact-refused", "the node answered {} {code}", answer.status);
    Ok(problem["detail"].as_str().unwrap_or_default().to_owned())
}

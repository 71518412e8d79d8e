//! Step 4: near and far differ, and the near one answers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

use super::embedded::{DIGIT_PICTURES, Flat, digits, fraud};
use super::links::{self, DELAY_MS};
use super::mesh::{DemoMesh, DemoNode, REGIONS};
use super::observe::until;
use super::report::Report;

/// How far an output may be from what the other runtime computed.
const TOLERANCE: f64 = 1e-4;

/// Sets the regions apart and asks both models.
pub(super) async fn run(mesh: &DemoMesh, report: &mut Report) -> Result<()> {
    report.check("20 ms of delay set the regions apart", set_apart(mesh)).await?;
    report.check("a node without the model asks a near one", ask_near(mesh)).await?;
    report.check("every held-out picture is classified", classify_all(mesh)).await?;
    report.check("picture files are classified over the command line", classify_files(mesh)).await?;
    report.check("held-out payments are scored", score_payments(mesh)).await?;
    Ok(())
}

/// Rules around every node's own socket, one for each node of the other region; then each node measures it.
async fn set_apart(mesh: &DemoMesh) -> Result<String> {
    links::set(mesh, &[]).await?;
    // Every node has to see it for itself: it routes by its own measurements.
    let (nearest, _) = until("every node measures the delay", Duration::from_secs(25), async || {
        let mut nearest_far = f64::MAX;
        for node in mesh.nodes() {
            for row in node.members().await?.iter().filter(|row| row.region != node.region) {
                nearest_far = nearest_far.min(row.rtt_ms.unwrap_or(0.0));
            }
        }
        Ok((nearest_far >= f64::from(2 * DELAY_MS)).then_some(nearest_far))
    })
    .await?;
    Ok(format!("every node measures {nearest:.1} ms or more to the other region"))
}

/// In each region the one node that holds no copy is asked; the answer must come from its own region in one hop.
async fn ask_near(mesh: &DemoMesh) -> Result<String> {
    let picture = digits()?;
    let mut seen = Vec::new();
    for region in REGIONS {
        let mut without = None;
        for node in mesh.region(region) {
            if node.status().await?.models.iter().all(|model| model.name != "digits") {
                without = Some(node);
            }
        }
        let asked = without.context("every node of the region holds the model")?;
        let answer = infer(asked, "digits", "image", &picture.inputs["image"], 0..1).await?;
        let by = answer["parameters"]["hedgerow_node"].as_str().unwrap_or_default();
        let hops = answer["parameters"]["hedgerow_hops"].as_u64();
        let from = answer["parameters"]["hedgerow_region"].as_str().unwrap_or_default();
        let near = from == region && hops == Some(1);
        ensure!(near, "{} was asked and {} in {from} answered, over {hops:?} hops", asked.name, mesh.name_of(by));
        let us = |key: &str| answer["parameters"][key].as_f64().unwrap_or(f64::NAN) / 1_000.0;
        seen.push(format!(
            "{} asked {} (version {}, {} hop; queue {:.2} ms, compute {:.2} ms, forward {:.2} ms, total {:.2} ms)",
            asked.name,
            mesh.name_of(by),
            answer["model_version"].as_str().unwrap_or("?"),
            hops.unwrap_or_default(),
            us("hedgerow_queue_us"),
            us("hedgerow_compute_us"),
            us("hedgerow_forward_us"),
            us("hedgerow_total_us"),
        ));
    }
    Ok(seen.join("; "))
}

async fn classify_all(mesh: &DemoMesh) -> Result<String> {
    let held_out = digits()?;
    let (images, expected) = (&held_out.inputs["image"], &held_out.outputs["probabilities"]);
    let mut right = 0;
    let mut furthest: f64 = 0.0;
    for row in 0..held_out.labels.len() {
        let node = &mesh.nodes()[row % mesh.nodes().len()];
        let answer = infer(node, "digits", "image", images, row..row + 1).await?;
        let probabilities = numbers(&answer["outputs"][0]["data"]);
        ensure!(probabilities.len() == 10, "row {row} has {} classes", probabilities.len());
        let wanted = &expected.data[row * 10..(row + 1) * 10];
        furthest = probabilities.iter().zip(wanted).map(|(got, want)| (got - want).abs()).fold(furthest, f64::max);
        right += usize::from(greatest(&probabilities) == label(held_out.labels[row]));
    }
    ensure!(furthest <= TOLERANCE, "an output is {furthest:e} away from the recorded one");
    let count = held_out.labels.len();
    Ok(format!("accuracy {:.1} % ({right} of {count}), outputs within {furthest:.1e}", percent(right, count)))
}

async fn classify_files(mesh: &DemoMesh) -> Result<String> {
    let folder = tempfile::tempdir().context("make a folder for pictures")?;
    let mut right = 0;
    for (digit, png) in DIGIT_PICTURES {
        let file = folder.path().join(format!("{digit}.png"));
        std::fs::write(&file, png)?;
        let input = format!("image=@{}", file.display());
        let printed = mesh.operate("n6", &["infer", "digits", "-i", &input, "-o", "json"]).await?;
        let answer: Value = serde_json::from_str(&printed).context("read the answer")?;
        right += usize::from(greatest(&numbers(&answer["outputs"][0]["data"])) == usize::from(digit));
    }
    ensure!(right > 0, "none was recognised");
    Ok(format!("{right} of {} recognised", DIGIT_PICTURES.len()))
}

async fn score_payments(mesh: &DemoMesh) -> Result<String> {
    let held_out = fraud()?;
    let (features, expected) = (&held_out.inputs["features"], &held_out.outputs["score"]);
    let answer = infer(mesh.node("n5")?, "fraud", "features", features, 0..held_out.labels.len()).await?;
    let scores = numbers(&answer["outputs"][0]["data"]);
    ensure!(scores.len() == expected.data.len(), "{} scores for {} payments", scores.len(), expected.data.len());
    let furthest = scores.iter().zip(&expected.data).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max);
    ensure!(furthest <= TOLERANCE, "a score is {furthest:e} away from the recorded one");
    let right = scores.iter().zip(&held_out.labels).filter(|(score, label)| (**score > 0.5) == (**label > 0.5)).count();
    Ok(format!("accuracy {:.1} % of {}, scores within {furthest:.1e}", percent(right, scores.len()), scores.len()))
}

/// Asks a node for some rows of a tensor, as an application would.
pub(super) async fn infer(
    node: &DemoNode,
    model: &str,
    input: &str,
    tensor: &Flat,
    rows: std::ops::Range<usize>,
) -> Result<Value> {
    let width: usize = tensor.shape.iter().skip(1).map(|size| usize::try_from(*size).unwrap_or(0)).product();
    let mut shape = tensor.shape.clone();
    shape[0] = u64::try_from(rows.len())?;
    let data = &tensor.data[rows.start * width..rows.end * width];
    let body = json!({ "inputs": [{ "name": input, "shape": shape, "datatype": "FP32", "data": data }] });
    let path = format!("/v2/models/{model}/infer");
    let answer = node.rest.exchange(Method::POST, &path, &[], body.to_string()).await?;
    Ok(answer.json_or_refusal("infer")?)
}

fn numbers(data: &Value) -> Vec<f64> {
    data.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// Index of the greatest element; the first of equals.
fn greatest(values: &[f64]) -> usize {
    values.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index)
}

/// Labels are small whole numbers written as JSON numbers.
fn label(value: f64) -> usize {
    (0..10).find(|digit| (f64::from(*digit) - value).abs() < 0.5).map_or(usize::MAX, |digit: u8| usize::from(digit))
}

fn percent(part: usize, whole: usize) -> f64 {
    let small = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    100.0 * small(part) / small(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_elements_is_the_greatest() {
        assert_eq!(greatest(&[0.1, 0.8, 0.8]), 1);
        assert_eq!(label(7.0), 7);
    }
}

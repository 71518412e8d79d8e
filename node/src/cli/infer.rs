//! `hedgerow infer`: one question to the mesh, with what answered it.

use hyper::Method;
use serde_json::{Value, json};

use super::arguments::InferArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, milliseconds, print};
use super::tensor_file;
use crate::admin::AdminClient;

/// Sends an Open Inference Protocol v2 request through the node and prints the answer.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &InferArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let model = super::model::in_path(&arguments.model)?;
    let metadata: Value = client.get("ask what the model takes", &format!("/v2/models/{model}")).await?;
    let inputs =
        arguments.input.iter().map(|text| tensor_file::read(text, &metadata)).collect::<Result<Vec<_>, _>>()?;
    let body = json!({ "inputs": inputs, "parameters": { "timeout": arguments.timeout_ms.saturating_mul(1_000) } });
    let response = client.exchange(Method::POST, &format!("/v2/models/{model}/infer"), &[], body.to_string()).await?;
    let answer: Value = response.json_or_refusal("infer")?;
    print(format, &answer, |answer, _| table(answer))?;
    Ok(Exit::Ok)
}

fn table(answer: &Value) -> String {
    let mut lines = Vec::new();
    for output in answer["outputs"].as_array().into_iter().flatten() {
        lines.push(describe(output));
    }
    let parameters = &answer["parameters"];
    let text = |key: &str| parameters[key].as_str().unwrap_or("-").to_owned();
    let ms = |key: &str| milliseconds(parameters[key].as_f64().map(|us| us / 1_000.0));
    let node: String = text("hedgerow_node").chars().take(8).collect();
    lines.push(format!(
        "answered by {node} in {}: {} version {}, {} hop(s)",
        text("hedgerow_region"),
        answer["model_name"].as_str().unwrap_or("-"),
        answer["model_version"].as_str().unwrap_or("-"),
        parameters["hedgerow_hops"],
    ));
    lines.push(columns(
        &["QUEUE", "COMPUTE", "FORWARD", "TOTAL"],
        vec![vec![
            ms("hedgerow_queue_us"),
            ms("hedgerow_compute_us"),
            ms("hedgerow_forward_us"),
            ms("hedgerow_total_us"),
        ]],
    ));
    lines.join("\n")
}

/// A row of numbers with its greatest element, which is what a classifier's reader looks for.
fn describe(output: &Value) -> String {
    let values: Vec<f64> = output["data"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let shown: Vec<_> = values.iter().take(16).map(|value| format!("{value:.4}")).collect();
    let more = if values.len() > shown.len() { format!(" … {} in all", values.len()) } else { String::new() };
    let best = values
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .filter(|_| values.len() > 1)
        .map_or_else(String::new, |(index, _)| format!("  (greatest at {index})"));
    format!("{} {}: {}{more}{best}", output["name"].as_str().unwrap_or("-"), output["shape"], shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_element_of_an_output_is_pointed_out() {
        let output = json!({ "name": "probabilities", "shape": [1, 3], "data": [0.1, 0.7, 0.2] });
        assert_eq!(describe(&output), "probabilities [1,3]: 0.1000 0.7000 0.2000  (greatest at 1)");
    }
}

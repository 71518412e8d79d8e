//! `hedgerow infer`: one question to the mesh, with what answered it.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::arguments::InferArguments;
use super::failure::{CliError, Exit};
use super::output::{OutputFormat, columns, counted, milliseconds, print, short};
use super::tensor_file;
use crate::admin::AdminClient;

/// What a node is given on top of the request's own time.
const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// Rows of an output that are printed; `-o json` has all of them.
const ROWS_SHOWN: usize = 16;
/// Elements of a row that are printed.
const ELEMENTS_SHOWN: usize = 16;

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
    // The node answers when the time is over; its answer has a way of its own.
    let client = client.clone().patience(Duration::from_millis(arguments.timeout_ms) + ANSWER_GRACE);
    let response = client.exchange(Method::POST, &format!("/v2/models/{model}/infer"), &[], body.to_string()).await?;
    let answer: Value = response.json_or_refusal("infer")?;
    print(format, &answer, |answer, _| table(answer))?;
    Ok(Exit::Ok)
}

fn table(answer: &Value) -> String {
    let mut lines = Vec::new();
    for output in answer["outputs"].as_array().into_iter().flatten() {
        lines.extend(describe(output));
    }
    let parameters = &answer["parameters"];
    let text = |key: &str| parameters[key].as_str().unwrap_or("-").to_owned();
    let ms = |key: &str| milliseconds(parameters[key].as_f64().map(|us| us / 1_000.0));
    let hops = parameters["hedgerow_hops"].as_u64().and_then(|hops| usize::try_from(hops).ok());
    lines.push(format!(
        "answered by {} in {}: {} version {}, {}",
        short(&text("hedgerow_node")),
        text("hedgerow_region"),
        answer["model_name"].as_str().unwrap_or("-"),
        answer["model_version"].as_str().unwrap_or("-"),
        hops.map_or_else(|| "-".to_owned(), |hops| counted(hops, "hop")),
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

/// An output row by row, each with its greatest element, which is what a classifier's reader looks for.
fn describe(output: &Value) -> Vec<String> {
    let values: Vec<f64> = output["data"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let width = output["shape"].as_array().and_then(|shape| shape.last()).and_then(Value::as_u64);
    let width = width.and_then(|width| usize::try_from(width).ok()).unwrap_or(values.len()).max(1);
    let head = format!("{} {}:", output["name"].as_str().unwrap_or("-"), output["shape"]);
    if values.len() <= width {
        return vec![format!("{head} {}", row(&values))];
    }
    let rows = values.chunks(width);
    let left_out = rows.len().saturating_sub(ROWS_SHOWN);
    let mut lines = vec![head];
    lines.extend(rows.take(ROWS_SHOWN).enumerate().map(|(index, values)| format!("  {index:>2}  {}", row(values))));
    if left_out > 0 {
        lines.push(format!("      and {left_out} more; `-o json` prints all"));
    }
    lines
}

fn row(values: &[f64]) -> String {
    let shown: Vec<_> = values.iter().take(ELEMENTS_SHOWN).map(|value| format!("{value:.4}")).collect();
    let more = if values.len() > shown.len() { format!(" … {} in all", values.len()) } else { String::new() };
    let best = values
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .filter(|_| values.len() > 1)
        .map_or_else(String::new, |(index, _)| format!("  (greatest at {index})"));
    format!("{}{more}{best}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_element_of_an_output_is_pointed_out() {
        let output = json!({ "name": "probabilities", "shape": [1, 3], "data": [0.1, 0.7, 0.2] });
        assert_eq!(describe(&output), ["probabilities [1,3]: 0.1000 0.7000 0.2000  (greatest at 1)"]);
    }

    #[test]
    fn several_rows_are_printed_one_by_one() {
        let output = json!({ "name": "p", "shape": [2, 2], "data": [0.1, 0.9, 0.8, 0.2] });
        assert_eq!(
            describe(&output),
            ["p [2,2]:", "   0  0.1000 0.9000  (greatest at 1)", "   1  0.8000 0.2000  (greatest at 0)"]
        );
        let scores = json!({ "name": "score", "shape": [20, 1], "data": vec![0.5; 20] });
        let lines = describe(&scores);
        assert_eq!((lines.len(), lines[1].as_str()), (18, "   0  0.5000"));
        assert_eq!(lines[17], "      and 4 more; `-o json` prints all");
    }
}

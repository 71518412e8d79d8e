//! `hedgerow model inspect`: a model of the mesh, or an ONNX file before it is pushed, with what its work costs.

use std::collections::BTreeMap;
use std::path::Path;

use hedgerow_inference::artifact::pack;
use hedgerow_inference::exec::{ExecLimits, Isa, Lanes, Model};
use hedgerow_inference::onnx::{LowerLimits, lower};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::arguments::InspectArguments;
use super::failure::{CliError, Exit};
use super::model::{in_path, ports, read_onnx};
use super::output::{OutputFormat, columns, counted, print};
use crate::admin::AdminClient;
use crate::admin::wire::{ModelDetail, ModelFile, ModelPlan, PlanStep};

/// Shows what the arguments name: a file where they end in `.onnx`, else a model of the mesh.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &InspectArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    if Path::new(&arguments.model).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx")) {
        let file = inspect_file(arguments)?;
        print(format, &file, |file, _| described_file(file))?;
        return Ok(Exit::Ok);
    }
    let mut path = format!("/admin/v1/models/{}", in_path(&arguments.model)?);
    if arguments.plan || !arguments.with.is_empty() {
        let with = arguments.with.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        path = format!("{path}?plan={}", utf8_percent_encode(&with, NON_ALPHANUMERIC));
    }
    let model: ModelDetail = client.get("inspect the model", &path).await?;
    print(format, &model, |model, _| described(model))?;
    Ok(Exit::Ok)
}

/// Lowers a file and plans it as a node would, on this machine.
fn inspect_file(arguments: &InspectArguments) -> Result<ModelFile, CliError> {
    let onnx = read_onnx(Path::new(&arguments.model))?;
    let lowered =
        lower(&onnx, &LowerLimits::default()).map_err(|error| CliError::local("lower the ONNX file", error, None))?;
    let name = "inspected".parse().map_err(|error| CliError::local("name the model", error, None))?;
    let version = "1".parse().map_err(|error| CliError::local("name the version", error, None))?;
    let artifact = pack(name, version, &lowered).map_err(|error| CliError::local("pack the model", error, None))?;
    let opened = artifact.open().map_err(|error| CliError::local("open the model", error, None))?;
    let isa = Isa::widest();
    let model = Model::load_for(&opened, ExecLimits::default(), isa).map_err(|error| {
        CliError::local("load the model", error, Some("a node may refuse it too; see docs/models.md".to_owned()))
    })?;
    let symbols: BTreeMap<_, _> = arguments.with.iter().map(|named| (named.symbol.clone(), named.extent)).collect();
    let explained = model.explain(&symbols, Lanes::here().threads).map_err(|error| {
        CliError::local("plan the model", error, Some("name other extents with --with batch=8".to_owned()))
    })?;
    Ok(ModelFile {
        signature: opened.signature().into(),
        parameters: opened.weights().parameters(),
        plan: ModelPlan::new(isa, explained),
    })
}

fn described_file(file: &ModelFile) -> String {
    let mut lines = ports(&file.signature);
    lines.push(format!("parameters {}", file.parameters));
    lines.push(String::new());
    lines.push(planned(&file.plan));
    lines.join("\n")
}

fn described(model: &ModelDetail) -> String {
    let ModelDetail { row, signature, operators, parameters, plan } = model;
    let mut lines = vec![
        format!("model      {} version {}", row.name, row.version),
        format!("manifest   sha256:{}", row.digest),
        format!("warm on    {}, {} per region wanted", counted(row.warm.len(), "node"), row.replicas),
    ];
    let Some(signature) = signature else {
        lines.push("this node does not hold it".to_owned());
        return lines.join("\n");
    };
    lines.extend(ports(signature));
    if let Some(operators) = operators {
        let counts: Vec<_> = operators.iter().map(|(operator, count)| format!("{count} {operator}")).collect();
        lines.push(format!("operators  {}", counts.join(", ")));
    }
    if let Some(parameters) = parameters {
        lines.push(format!("parameters {parameters}"));
    }
    if let Some(plan) = plan {
        lines.push(String::new());
        lines.push(planned(plan));
    }
    lines.join("\n")
}

/// The steps as a table, then what was fused and what it takes.
fn planned(plan: &ModelPlan) -> String {
    let row = |step: &PlanStep| {
        vec![
            step.operator.clone(),
            step.results.join(", "),
            step.kernel.clone(),
            counted_or_none(step.multiply_adds),
            counted_or_none(step.bytes),
            counted_or_none(step.scratch_bytes),
            step.node.clone(),
        ]
    };
    let header = ["OPERATOR", "RESULT", "KERNEL", "MULTIPLY-ADDS", "BYTES", "SCRATCH", "NODE"];
    let mut lines = vec![columns(&header, plan.steps.iter().map(row).collect()), String::new()];
    for fusion in &plan.fusions {
        lines.push(format!("fused      {} of {}", fusion.made, fusion.nodes.join(", ")));
    }
    let total = plan.steps.iter().fold(0_u64, |sum, step| sum.saturating_add(step.multiply_adds));
    lines.push(format!("work       {total} multiply-adds, kernels for {}", plan.isa));
    lines.push(format!(
        "memory     {} bytes of weights, {} planned between kernels",
        plan.resident_bytes, plan.planned_bytes
    ));
    lines.push(format!("peak       {} bytes", plan.peak_bytes));
    lines.join("\n")
}

fn counted_or_none(count: u64) -> String {
    if count == 0 { "-".to_owned() } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_shown_with_what_it_costs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../inference/models/fraud/model.onnx");
        let with = vec!["batch=2".parse().unwrap()];
        let arguments = InspectArguments { model: path.to_owned(), plan: true, with };
        let file = inspect_file(&arguments).unwrap();
        let text = described_file(&file);
        assert!(text.starts_with("input "), "{text}");
        let first = file.plan.steps.first().unwrap();
        assert!(first.results[0].starts_with("FP32 [2, "), "{first:?}");
        assert!(file.plan.steps.iter().all(|step| step.kernel != "plain"), "{text}");
        assert!(text.contains(&format!("peak       {} bytes", file.plan.peak_bytes)), "{text}");
        let absent = InspectArguments { model: "absent.onnx".to_owned(), plan: true, with: vec![] };
        assert!(inspect_file(&absent).unwrap_err().to_string().contains("absent.onnx"));
    }

    #[test]
    fn a_model_is_described_with_the_dimensions_as_their_publisher_named_them() {
        let value = json!({ "name": "x", "dtype": "FP32", "shape": ["batch", 28] });
        let mut model = json!({
            "name": "digits", "version": "1", "digest": "ab", "replicas": 2, "regions": [], "warm": ["n"], "here": true,
            "signature": { "inputs": [value], "outputs": [] }, "operators": { "Conv": 2 }, "parameters": 7,
        });
        let head = "model      digits version 1\nmanifest   sha256:ab\nwarm on    1 node, 2 per region wanted\n";
        assert_eq!(
            described(&serde_json::from_value(model.clone()).unwrap()),
            format!("{head}input      x: FP32 [batch, 28]\noperators  2 Conv\nparameters 7")
        );
        for key in ["signature", "operators", "parameters"] {
            model.as_object_mut().unwrap().remove(key);
        }
        let elsewhere = serde_json::from_value(model).unwrap();
        assert_eq!(described(&elsewhere), format!("{head}this node does not hold it"));
    }
}

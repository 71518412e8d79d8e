//! Inputs of a model as people have them: a picture, an array file, or JSON.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::failure::{CliError, Exit};

/// Files larger than this are not inputs of a request.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Reads `NAME=@FILE` or `NAME=JSON` into a tensor of the Open Inference Protocol, shaped as the model's metadata says.
pub(super) fn read(argument: &str, metadata: &Value) -> Result<Value, CliError> {
    let Some((name, value)) = argument.split_once('=') else {
        return Err(usage(format!("`{argument}` is not NAME=VALUE")));
    };
    let inputs = metadata["inputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(input) = inputs.iter().find(|input| input["name"] == name) else {
        let known: Vec<_> = inputs.iter().filter_map(|input| input["name"].as_str()).collect();
        return Err(usage(format!("the model has no input `{name}`; it has {}", known.join(", "))));
    };
    let array = match value.strip_prefix('@') {
        Some(path) => from_file(Path::new(path))?,
        None => from_json(value.as_bytes(), Path::new(&format!("`{argument}`")))?,
    };
    let shape = shape_for(&array, input)?;
    Ok(json!({ "name": name, "datatype": input["datatype"], "shape": shape, "data": array.data }))
}

/// Numbers in row-major order with the shape they were written in.
#[derive(Debug, PartialEq)]
struct Array {
    shape: Vec<i64>,
    data: Vec<f64>,
}

fn from_file(path: &Path) -> Result<Array, CliError> {
    let read = |source| CliError::ReadFile { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
        return Err(unreadable(path, "larger than 64 MiB"));
    }
    let bytes = std::fs::read(path).map_err(read)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("png") => from_png(&bytes, path),
        Some("npy") => from_npy(&bytes, path),
        Some("json") => from_json(&bytes, path),
        _ => Err(usage(format!("{} is neither .png, .npy nor .json", path.display()))),
    }
}

/// A picture as one channel of 0 to 1, whatever its colours.
fn from_png(bytes: &[u8], path: &Path) -> Result<Array, CliError> {
    let mut reader = image::ImageReader::with_format(std::io::Cursor::new(bytes), image::ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(4096);
    limits.max_image_height = Some(4096);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| unreadable(path, &error.to_string()))?.into_luma8();
    Ok(Array {
        shape: vec![i64::from(picture.height()), i64::from(picture.width())],
        data: picture.as_raw().iter().map(|level| f64::from(*level) / 255.0).collect(),
    })
}

fn from_npy(bytes: &[u8], path: &Path) -> Result<Array, CliError> {
    let refuse = |error: std::io::Error| unreadable(path, &format!("not a whole .npy file: {error}"));
    let file = npyz::NpyFile::new(bytes).map_err(refuse)?;
    let shape = file.shape().iter().map(|size| i64::try_from(*size)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_error| unreadable(path, "a dimension is too large"))?;
    if file.order() == npyz::Order::Fortran && shape.len() > 1 {
        return Err(unreadable(path, "it is in Fortran order; save numpy.ascontiguousarray(x)"));
    }
    let data = if let Ok(reader) = file.data::<f32>() {
        reader.map(|value| value.map(f64::from)).collect::<Result<Vec<_>, _>>().map_err(refuse)?
    } else {
        let file = npyz::NpyFile::new(bytes).map_err(refuse)?;
        let reader = file
            .data::<f64>()
            .map_err(|_error| unreadable(path, "its elements are neither f4 nor f8; save x.astype('f4')"))?;
        reader.collect::<Result<Vec<_>, _>>().map_err(refuse)?
    };
    if data.iter().any(|value| !value.is_finite()) {
        return Err(unreadable(path, "it holds NaN or an infinity, which a request cannot carry"));
    }
    Ok(Array { shape, data })
}

fn from_json(bytes: &[u8], path: &Path) -> Result<Array, CliError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| unreadable(path, &error.to_string()))?;
    let mut array = Array { shape: Vec::new(), data: Vec::new() };
    flatten(&value, 0, &mut array).map_err(|what| unreadable(path, what))?;
    Ok(array)
}

/// Walks nested lists; every list of one depth must be of one length.
fn flatten(value: &Value, depth: usize, array: &mut Array) -> Result<(), &'static str> {
    match value {
        Value::Array(items) => {
            let length = i64::try_from(items.len()).map_err(|_error| "a list is too long")?;
            match array.shape.get(depth) {
                None if array.data.is_empty() => array.shape.push(length),
                Some(known) if *known == length => {}
                _ => return Err("its lists are of different lengths"),
            }
            items.iter().try_for_each(|item| flatten(item, depth + 1, array))
        }
        Value::Number(number) if depth == array.shape.len() => {
            array.data.push(number.as_f64().ok_or("a number is out of range")?);
            Ok(())
        }
        Value::Number(_) => Err("numbers and lists are mixed"),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => {
            Err("it holds something else than numbers")
        }
    }
}

/// The shape to send: as written where it fits; a flat list takes the model's with one unknown size solved; anything else must
/// have the model's sizes in their order and may leave out those of 1, as a picture leaves out batch and channel.
fn shape_for(array: &Array, input: &Value) -> Result<Vec<i64>, CliError> {
    let wanted: Vec<i64> = input["shape"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    let fits = |shape: &[i64]| {
        shape.len() == wanted.len() && shape.iter().zip(&wanted).all(|(have, want)| *want < 0 || have == want)
    };
    let shape = match array.shape.as_slice() {
        shape if fits(shape) => Some(shape.to_vec()),
        [count] => solved(*count, &wanted),
        shape => padded(shape, &wanted),
    };
    shape.ok_or_else(|| {
        usage(format!(
            "input `{}` takes {wanted:?} (-1 is any size), and the value is {:?}",
            input["name"].as_str().unwrap_or("-"),
            array.shape
        ))
    })
}

/// The wanted shape with its one unknown size such that it holds `count` elements.
fn solved(count: i64, wanted: &[i64]) -> Option<Vec<i64>> {
    let fixed: i64 = wanted.iter().filter(|size| **size > 0).product();
    let unknown = wanted.iter().filter(|size| **size < 0).count();
    let whole = fixed > 0 && unknown <= 1 && count % fixed == 0 && (unknown == 1 || count == fixed);
    whole.then(|| wanted.iter().map(|size| if *size < 0 { count / fixed } else { *size }).collect())
}

/// The wanted shape filled from its end, with 1 for every size that the value leaves out.
fn padded(shape: &[i64], wanted: &[i64]) -> Option<Vec<i64>> {
    let mut given = shape.iter().rev().filter(|size| **size != 1).peekable();
    let mut filled: Vec<i64> = wanted
        .iter()
        .rev()
        .map(|want| match given.peek() {
            Some(&&size) if *want != 1 && (*want < 0 || *want == size) => {
                given.next();
                size
            }
            _ if *want < 0 => 1,
            _ => *want,
        })
        .collect();
    filled.reverse();
    let whole = given.next().is_none() && filled.iter().product::<i64>() == shape.iter().product::<i64>();
    whole.then_some(filled)
}

fn usage(what: String) -> CliError {
    CliError::Usage {
        what,
        remedy: "see what the model takes with `hedgerow model inspect MODEL`; write -i NAME=@FILE or -i NAME=JSON",
    }
}

fn unreadable(path: &Path, why: &str) -> CliError {
    CliError::Local {
        operation: "read an input",
        source: anyhow::anyhow!("{}: {why}", PathBuf::from(path).display()),
        remedy: None,
        exit: Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Value {
        json!({ "inputs": [{ "name": "image", "datatype": "FP32", "shape": [-1, 1, 2, 2] }] })
    }

    #[test]
    fn a_flat_list_takes_the_shape_of_the_model() {
        let tensor = read("image=[0, 0.5, 1, 0]", &metadata()).unwrap();
        assert_eq!(
            tensor,
            json!({ "name": "image", "datatype": "FP32", "shape": [1, 1, 2, 2], "data": [0.0, 0.5, 1.0, 0.0] })
        );
    }

    #[test]
    fn a_list_of_the_wrong_size_is_refused_with_both_shapes() {
        let message = read("image=[1,2,3]", &metadata()).unwrap_err().report();
        assert!(message.contains("takes [-1, 1, 2, 2]") && message.contains("the value is [3]"), "{message}");
    }

    #[test]
    fn a_picture_of_another_size_is_never_taken_for_several() {
        let wanted = [-1, 1, 28, 28];
        assert_eq!(padded(&[28, 28], &wanted), Some(vec![1, 1, 28, 28]));
        assert_eq!(padded(&[5, 28, 28], &wanted), Some(vec![5, 1, 28, 28]));
        assert_eq!(padded(&[1, 28, 28], &wanted), Some(vec![1, 1, 28, 28]));
        for other in [&[28, 56][..], &[56, 28], &[784, 1], &[2, 3, 28, 28], &[28, 28, 5]] {
            assert_eq!(padded(other, &wanted), None, "{other:?}");
        }
        assert_eq!((solved(1_568, &wanted), solved(100, &wanted)), (Some(vec![2, 1, 28, 28]), None));
    }

    #[test]
    fn ragged_lists_and_unknown_inputs_are_refused() {
        assert!(read("image=[[1,2],[3]]", &metadata()).is_err());
        assert!(read("image=[1,[2]]", &metadata()).is_err());
        assert!(read("other=[1]", &metadata()).unwrap_err().report().contains("it has image"));
    }

    #[test]
    fn a_picture_becomes_levels_between_zero_and_one() {
        let mut png = std::io::Cursor::new(Vec::new());
        let picture = image::GrayImage::from_raw(2, 1, vec![0, 255]).unwrap();
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let array = from_png(png.get_ref(), Path::new("x.png")).unwrap();
        assert_eq!(array, Array { shape: vec![1, 2], data: vec![0.0, 1.0] });
    }
}

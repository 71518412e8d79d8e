//! Every operator of the table against values from the ONNX operator documentation, or small
//! enough to compute by hand; and what the table refuses.

mod accuracy;
mod application;
mod cases;
mod frozen;
mod hostile;
mod hosts;
mod learning;
mod narrow;
mod refusals;

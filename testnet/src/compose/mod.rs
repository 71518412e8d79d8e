//! Nodes as containers: the compose file, the image, the engine, and the mesh made of them.

mod engine;
mod image;
mod mesh;
mod render;

pub(crate) use image::prepare;
pub(crate) use mesh::{ComposeMesh, remove_left_over};
pub(crate) use render::{PORT_BASE, render};

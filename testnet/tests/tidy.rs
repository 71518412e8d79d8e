//! The rules of the house, as tests over the source: the direction of the crates and of the node's modules, sizes,
//! names, and what no file may say. Each rule is a pure function from text to complaints and is tried on a bad sample
//! beside it.

mod tidy {
    mod crates;
    mod modules;
    mod names;
    mod processes;
    mod sizes;
    mod sleeps;
    mod source;
    mod words;
}

//! Operators that run bodies.

use super::{BOOL, PLACES, STORED};
use crate::ops::{
    attributes::Fallback,
    operator::{Control, Operator, attribute, input, optional},
};

pub(crate) const OPERATORS: &[Operator] = &[
    Operator::controlling(
        "If",
        1,
        Control::If,
        &[input("cond", "B", BOOL)],
        &[attribute("else_branch", Fallback::RequiredGraph), attribute("then_branch", Fallback::RequiredGraph)],
    ),
    Operator::controlling(
        "Loop",
        1,
        Control::Loop,
        &[optional("M", "I", PLACES), optional("cond", "B", BOOL), optional("v_initial", "", STORED)],
        &[attribute("body", Fallback::RequiredGraph)],
    )
    .variadic(),
    Operator::controlling(
        "Scan",
        9,
        Control::Scan,
        &[input("initial_state_and_scan_inputs", "", STORED)],
        &[
            attribute("body", Fallback::RequiredGraph),
            attribute("num_scan_inputs", Fallback::RequiredInt),
            attribute("scan_input_axes", Fallback::NoInts),
            attribute("scan_input_directions", Fallback::NoInts),
            attribute("scan_output_axes", Fallback::NoInts),
            attribute("scan_output_directions", Fallback::NoInts),
        ],
    )
    .variadic(),
];

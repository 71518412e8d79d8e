//! Extents with named symbolic dimensions: products of a number and of names, or not known.
//!
//! A product is what reshaping and flattening make of a batch dimension, it is closed under
//! multiplication, and dividing one by another is exact or not known. Sums (concatenating along a
//! symbolic axis) and roundings (sliding a window over one) are outside it: such an extent is
//! unknown until a request gives numbers to the names.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    array::Array,
    ir::Dim,
    tensor::{DType, RANK_MAX},
};

/// Most symbols in one product; without a bound, squaring a shape again and again would double
/// them each time.
const SYMBOLS_MAX: usize = 16;

/// Values that a request gives to symbolic dimensions.
pub(crate) type Bindings = BTreeMap<String, u64>;

/// One extent as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// `coefficient · symbols`.
    Product {
        coefficient: u64,
        /// Sorted; a symbol may stand several times.
        symbols: Vec<String>,
    },
    /// Depends on what a request brings.
    Unknown,
    /// Depends on the elements; a kernel may make fewer, not more.
    AtMost(u64),
}

/// What is known of a value: at load from the graph, at a run everything.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) dtype: DType,
    /// `None` when not even the number of dimensions is known.
    pub(crate) shape: Option<Vec<Extent>>,
    /// The elements, of constants and at a run.
    pub(crate) content: Option<Arc<Array>>,
}

impl Extent {
    pub(crate) const ONE: Self = Self::Product { coefficient: 1, symbols: Vec::new() };

    /// `None` for what a signed word cannot hold.
    pub(crate) fn fixed(extent: u64) -> Option<Self> {
        i64::try_from(extent).is_ok().then_some(Self::Product { coefficient: extent, symbols: Vec::new() })
    }

    /// An extent of something in memory.
    pub(crate) fn counted(extent: usize) -> Self {
        Self::Product { coefficient: extent as u64, symbols: Vec::new() }
    }

    pub(crate) fn of(dim: &Dim) -> Option<Self> {
        match dim {
            Dim::Fixed(extent) => Self::fixed(*extent),
            Dim::Symbol(name) if name.is_empty() => None,
            Dim::Symbol(name) => Some(Self::Product { coefficient: 1, symbols: vec![name.clone()] }),
        }
    }

    /// The extent as a dimension, if it is known and no compound of several.
    pub(crate) fn to_dim(&self) -> Option<Dim> {
        let Self::Product { coefficient, symbols } = self else { return None };
        match (*coefficient, symbols.as_slice()) {
            (coefficient, []) => Some(Dim::Fixed(coefficient)),
            (1, [symbol]) => Some(Dim::Symbol(symbol.clone())),
            _ => None,
        }
    }

    pub(crate) fn as_fixed(&self) -> Option<u64> {
        match self {
            Self::Product { coefficient, symbols } => symbols.is_empty().then_some(*coefficient),
            Self::Unknown | Self::AtMost(_) => None,
        }
    }

    /// Whether the two differ for every request.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        matches!((self.as_fixed(), other.as_fixed()), (Some(mine), Some(theirs)) if mine != theirs)
    }

    /// `None` when the number overflows a signed word; too many symbols make it unknown.
    pub(crate) fn times(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (
                Self::Product { coefficient, symbols },
                Self::Product { coefficient: other_coefficient, symbols: other_symbols },
            ) => {
                let coefficient = coefficient.checked_mul(*other_coefficient)?;
                i64::try_from(coefficient).ok()?;
                let mut symbols = [symbols.as_slice(), other_symbols].concat();
                symbols.sort_unstable();
                Some(if symbols.len() <= SYMBOLS_MAX { Self::Product { coefficient, symbols } } else { Self::Unknown })
            }
            _ => Some(Self::Unknown),
        }
    }

    /// Unknown when the division is not exact for every binding; `None` when it never is.
    pub(crate) fn divided_by(&self, other: &Self) -> Option<Self> {
        if let (Some(whole), Some(part)) = (self.as_fixed(), other.as_fixed()) {
            let exact = part != 0 && whole.is_multiple_of(part);
            return exact.then(|| Self::Product { coefficient: whole / part, symbols: Vec::new() });
        }
        Some(self.quotient(other).unwrap_or(Self::Unknown))
    }

    fn quotient(&self, other: &Self) -> Option<Self> {
        let Self::Product { coefficient, symbols } = self else { return None };
        let Self::Product { coefficient: divisor, symbols: others } = other else { return None };
        if *divisor == 0 || !coefficient.is_multiple_of(*divisor) {
            return None;
        }
        let mut symbols = symbols.clone();
        for symbol in others {
            let at = symbols.iter().position(|mine| mine == symbol)?;
            symbols.remove(at);
        }
        Some(Self::Product { coefficient: coefficient / divisor, symbols })
    }

    /// The number, the largest possible one, or `None` when it is not known or overflows.
    pub(crate) fn evaluate(&self, bindings: &Bindings) -> Option<u64> {
        match self {
            Self::Product { coefficient, symbols } => symbols.iter().try_fold(*coefficient, |product, symbol| {
                product.checked_mul(*bindings.get(symbol)?).filter(|product| i64::try_from(*product).is_ok())
            }),
            Self::Unknown => None,
            Self::AtMost(most) => Some(*most),
        }
    }
}

impl Fact {
    /// `None` when an extent is too large, or there are too many of them.
    pub(crate) fn of_dims(dtype: DType, dims: &[Dim]) -> Option<Self> {
        if dims.len() > RANK_MAX {
            return None;
        }
        let shape = dims.iter().map(Extent::of).collect::<Option<_>>()?;
        Some(Self { dtype, shape: Some(shape), content: None })
    }

    /// The extents, when each is known exactly.
    pub(crate) fn extents(&self) -> Option<Vec<usize>> {
        let exact = |extent: &Extent| usize::try_from(extent.as_fixed()?).ok();
        self.shape.as_ref()?.iter().map(exact).collect()
    }

    /// Everything about a tensor in memory.
    pub(crate) fn of_array(array: Arc<Array>) -> Self {
        let shape = Some(array.shape().iter().map(|extent| Extent::counted(*extent)).collect());
        Self { dtype: array.dtype(), shape, content: Some(array) }
    }
}

/// Product of extents; [`Extent::ONE`] for none.
pub(crate) fn product(extents: &[Extent]) -> Option<Extent> {
    extents.iter().try_fold(Extent::ONE, |product, extent| product.times(extent))
}

/// Multidirectional broadcasting, as the ONNX document "Broadcasting in ONNX" defines it.
///
/// What is not known before a request stays unknown, except that a number other than 1 decides.
pub(crate) fn broadcast(left: &[Extent], right: &[Extent]) -> Option<Vec<Extent>> {
    let rank = left.len().max(right.len());
    let aligned = |shape: &[Extent], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape.get(own).cloned().unwrap_or(Extent::ONE),
        None => Extent::ONE,
    };
    (0..rank)
        .map(|axis| {
            let (left, right) = (aligned(left, axis), aligned(right, axis));
            match (left.as_fixed(), right.as_fixed()) {
                _ if left == right && left != Extent::Unknown => Some(left),
                (_, Some(1)) => Some(left),
                (Some(1), _) => Some(right),
                (Some(_), Some(_)) => None,
                (Some(_), None) => Some(left),
                (None, Some(_)) => Some(right),
                (None, None) => Some(Extent::Unknown),
            }
        })
        .collect()
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (coefficient, symbols) = match self {
            Self::Product { coefficient, symbols } => (coefficient, symbols),
            Self::Unknown => return f.write_str("?"),
            Self::AtMost(most) => return write!(f, "≤{most}"),
        };
        if symbols.is_empty() || *coefficient != 1 {
            write!(f, "{coefficient}")?;
        }
        for (index, symbol) in symbols.iter().enumerate() {
            let separator = if index > 0 || *coefficient != 1 { "·" } else { "" };
            write!(f, "{separator}{symbol}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(shape) = &self.shape else { return write!(f, "{} of any shape", self.dtype) };
        write!(f, "{} [{}]", self.dtype, list(shape))
    }
}

/// Extents for messages.
pub(crate) fn list(shape: &[Extent]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(extent: u64) -> Extent {
        Extent::fixed(extent).unwrap()
    }

    fn symbol(name: &str) -> Extent {
        Extent::of(&Dim::Symbol(name.into())).unwrap()
    }

    #[test]
    fn products_of_symbols_divide_exactly_or_are_not_known() {
        let whole = product(&[symbol("batch"), number(6), symbol("row")]).unwrap();
        assert_eq!(whole.to_string(), "6·batch·row");
        assert_eq!(whole.divided_by(&number(3)).unwrap().to_string(), "2·batch·row");
        assert_eq!(whole.divided_by(&symbol("row")).unwrap().to_string(), "6·batch");
        assert_eq!(whole.divided_by(&number(4)), Some(Extent::Unknown));
        assert_eq!(whole.divided_by(&symbol("column")), Some(Extent::Unknown));
        assert_eq!(number(6).divided_by(&number(4)), None);
        assert_eq!(number(0).divided_by(&number(0)), None);
        assert_eq!(whole.to_dim(), None);
        assert_eq!(symbol("row").to_dim(), Some(Dim::Symbol("row".into())));
    }

    #[test]
    fn overflow_is_refused() {
        assert_eq!(Extent::fixed(1 << 63), None);
        assert_eq!(number(1 << 40).times(&number(1 << 40)), None);
        let bindings = Bindings::from([("batch".into(), 1 << 40)]);
        assert_eq!(number(1 << 40).times(&symbol("batch")).unwrap().evaluate(&bindings), None);
        assert_eq!(symbol("row").evaluate(&bindings), None);
        assert_eq!(symbol("batch").evaluate(&bindings), Some(1 << 40));
    }

    #[test]
    fn broadcasting_aligns_at_the_right() {
        let wide = [symbol("batch"), number(3), number(1)];
        let narrow = [number(1), number(4)];
        assert_eq!(broadcast(&wide, &narrow), Some(vec![symbol("batch"), number(3), number(4)]));
        assert_eq!(broadcast(&narrow, &wide), Some(vec![symbol("batch"), number(3), number(4)]));
        assert_eq!(broadcast(&wide, &[]), Some(wide.to_vec()));
        assert_eq!(broadcast(&[symbol("batch")], &[number(3)]), Some(vec![number(3)]));
        assert_eq!(broadcast(&[symbol("batch")], &[symbol("row")]), Some(vec![Extent::Unknown]));
        assert_eq!(broadcast(&[number(0)], &[number(1)]), Some(vec![number(0)]));
        assert_eq!(broadcast(&[number(2)], &[number(3)]), None);
    }

    proptest! {
        #[test]
        fn division_undoes_multiplication(a in 1u64..1000, b in 1u64..1000, bound in 1u64..1000) {
            let (left, right) = (number(a).times(&symbol("n")).unwrap(), number(b).times(&symbol("m")).unwrap());
            let whole = left.times(&right).unwrap();
            prop_assert_eq!(whole.divided_by(&right), Some(left));
            let bindings = Bindings::from([("n".into(), bound), ("m".into(), 2)]);
            prop_assert_eq!(whole.evaluate(&bindings), Some(a * b * bound * 2));
        }
    }
}

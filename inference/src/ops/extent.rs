//! Extents with named symbolic dimensions: products of a number and of names.
//!
//! A product is what reshaping and flattening make of a batch dimension, it is closed under
//! multiplication, and dividing one by another is exact or refused. Sums (concatenating along a
//! symbolic axis) and roundings (sliding a window over one) are outside it, and are refused.

use std::{collections::BTreeMap, fmt};

use crate::{
    ir::Dim,
    tensor::{DType, RANK_MAX},
};

/// Most symbols in one product; without a bound, squaring a shape again and again would double
/// them each time.
const SYMBOLS_MAX: usize = 16;

/// Values that a request gives to symbolic dimensions.
pub(crate) type Bindings = BTreeMap<String, u64>;

/// `coefficient · symbols`, at least 1 for every binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    coefficient: u64,
    /// Sorted; a symbol may stand several times.
    symbols: Vec<String>,
}

/// Type and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueType {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<Extent>,
}

impl Extent {
    pub(crate) const ONE: Self = Self { coefficient: 1, symbols: Vec::new() };

    /// `None` for 0 and for what a signed word cannot hold.
    pub(crate) fn fixed(extent: u64) -> Option<Self> {
        (extent > 0 && i64::try_from(extent).is_ok()).then(|| Self { coefficient: extent, symbols: Vec::new() })
    }

    pub(crate) fn of(dim: &Dim) -> Option<Self> {
        match dim {
            Dim::Fixed(extent) => Self::fixed(*extent),
            Dim::Symbol(name) if name.is_empty() => None,
            Dim::Symbol(name) => Some(Self { coefficient: 1, symbols: vec![name.clone()] }),
        }
    }

    /// The extent as a dimension, if it is no compound of several.
    pub(crate) fn to_dim(&self) -> Option<Dim> {
        match (self.coefficient, self.symbols.as_slice()) {
            (coefficient, []) => Some(Dim::Fixed(coefficient)),
            (1, [symbol]) => Some(Dim::Symbol(symbol.clone())),
            _ => None,
        }
    }

    pub(crate) fn as_fixed(&self) -> Option<u64> {
        self.symbols.is_empty().then_some(self.coefficient)
    }

    /// `None` when the number overflows a signed word, or too many symbols meet.
    pub(crate) fn times(&self, other: &Self) -> Option<Self> {
        let coefficient = self.coefficient.checked_mul(other.coefficient)?;
        i64::try_from(coefficient).ok()?;
        let mut symbols = [self.symbols.as_slice(), &other.symbols].concat();
        symbols.sort_unstable();
        (symbols.len() <= SYMBOLS_MAX).then_some(Self { coefficient, symbols })
    }

    /// `None` when the division is not exact for every binding.
    pub(crate) fn divided_by(&self, other: &Self) -> Option<Self> {
        if !self.coefficient.is_multiple_of(other.coefficient) {
            return None;
        }
        let mut symbols = self.symbols.clone();
        for symbol in &other.symbols {
            let at = symbols.iter().position(|mine| mine == symbol)?;
            symbols.remove(at);
        }
        Some(Self { coefficient: self.coefficient / other.coefficient, symbols })
    }

    /// The number, or `None` when a symbol is unbound or the product overflows.
    pub(crate) fn evaluate(&self, bindings: &Bindings) -> Option<u64> {
        self.symbols.iter().try_fold(self.coefficient, |product, symbol| {
            product.checked_mul(*bindings.get(symbol)?).filter(|product| i64::try_from(*product).is_ok())
        })
    }
}

impl ValueType {
    /// `None` when an extent is 0 or too large, or there are too many of them.
    pub(crate) fn of_dims(dtype: DType, dims: &[Dim]) -> Option<Self> {
        if dims.len() > RANK_MAX {
            return None;
        }
        let shape = dims.iter().map(Extent::of).collect::<Option<_>>()?;
        Some(Self { dtype, shape })
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Product of the extents.
    pub(crate) fn elements(&self) -> Option<Extent> {
        product(&self.shape)
    }
}

/// Product of extents; [`Extent::ONE`] for none.
pub(crate) fn product(extents: &[Extent]) -> Option<Extent> {
    extents.iter().try_fold(Extent::ONE, |product, extent| product.times(extent))
}

/// Multidirectional broadcasting, as the ONNX document "Broadcasting in ONNX" defines it.
///
/// A symbol meets only itself or 1: whether it equals a number is not known before a request.
pub(crate) fn broadcast(left: &[Extent], right: &[Extent]) -> Option<Vec<Extent>> {
    let rank = left.len().max(right.len());
    let aligned = |shape: &[Extent], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape.get(own).cloned().unwrap_or(Extent::ONE),
        None => Extent::ONE,
    };
    (0..rank)
        .map(|axis| match (aligned(left, axis), aligned(right, axis)) {
            (l, r) if l == r || r == Extent::ONE => Some(l),
            (l, r) if l == Extent::ONE => Some(r),
            _ => None,
        })
        .collect()
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.symbols.is_empty() || self.coefficient != 1 {
            write!(f, "{}", self.coefficient)?;
        }
        for (index, symbol) in self.symbols.iter().enumerate() {
            let separator = if index > 0 || self.coefficient != 1 { "·" } else { "" };
            write!(f, "{separator}{symbol}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [", self.dtype)?;
        for (axis, extent) in self.shape.iter().enumerate() {
            let separator = if axis > 0 { ", " } else { "" };
            write!(f, "{separator}{extent}")?;
        }
        f.write_str("]")
    }
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
    fn products_of_symbols_divide_exactly_or_not_at_all() {
        let whole = product(&[symbol("batch"), number(6), symbol("row")]).unwrap();
        assert_eq!(whole.to_string(), "6·batch·row");
        assert_eq!(whole.divided_by(&number(3)).unwrap().to_string(), "2·batch·row");
        assert_eq!(whole.divided_by(&symbol("row")).unwrap().to_string(), "6·batch");
        assert_eq!(whole.divided_by(&number(4)), None);
        assert_eq!(whole.divided_by(&symbol("column")), None);
        assert_eq!(whole.to_dim(), None);
        assert_eq!(symbol("row").to_dim(), Some(Dim::Symbol("row".into())));
    }

    #[test]
    fn overflow_and_emptiness_are_refused() {
        assert_eq!(Extent::fixed(0), None);
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
        assert_eq!(broadcast(&[symbol("batch")], &[number(3)]), None);
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

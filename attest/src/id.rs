//! Names that outlive keys: each is the sha-256 of a signed payload and survives every rotation of the keys in it.

use crate::text::{Base32, TextForm, bytes32};

/// Characters of the short form; 40 bits, enough to tell nodes apart on a screen and never used to look one up.
const SHORT: usize = 8;

bytes32! {
    /// A node: sha-256 of the payload of its inception ([`crate::inception`]); text form: 52 characters of base32.
    NodeId, Base32
}

bytes32! {
    /// A mesh: sha-256 of the canonical `signed` object of its first root ([`crate::root`]); text form as [`NodeId`].
    MeshId, Base32
}

bytes32! {
    /// A cell of a region: sha-256 of the payload of its genesis ([`crate::genesis`]); text form as [`NodeId`].
    CellId, Base32
}

macro_rules! short_form {
    ($($name:ident),+) => {$(
        impl $name {
            /// The first eight characters of the text form, for tables and logs.
            #[must_use]
            pub fn short(&self) -> String {
                let mut text = Base32::encode(self.as_bytes());
                text.truncate(SHORT);
                text
            }
        }
    )+};
}
short_form!(NodeId, MeshId, CellId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_stand_in_the_order_of_their_bytes() {
        let bytes = [[0; 32], [1; 32], [0xff; 32]].into_iter().flat_map(|bytes: [u8; 32]| {
            [0, 7, 8, 31].map(|place| std::array::from_fn(|at| if at == place { bytes[at] ^ 0x80 } else { bytes[at] }))
        });
        let bytes: Vec<[u8; 32]> = bytes.collect();
        for (a, b) in bytes.iter().flat_map(|a| bytes.iter().map(move |b| (a, b))) {
            assert_eq!(NodeId::from_bytes(*a).cmp(&NodeId::from_bytes(*b)), a.cmp(b), "{a:?} {b:?}");
        }
        assert_eq!(NodeId::from_bytes([1; 32]).lead(), 0x0101_0101_0101_0101);
    }

    #[test]
    fn identifiers_print_as_base32_and_parse_back() {
        let node = NodeId::from_bytes([7; 32]);
        assert_eq!(node.to_string(), "a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq");
        assert_eq!(node.to_string().parse(), Ok(node));
        assert_eq!(node.short(), "a4dqobyh");
        assert_eq!(format!("{:<10}|", node.short()), "a4dqobyh  |");
        assert_eq!(format!("{node:?}"), format!("NodeId({node})"));
    }
}

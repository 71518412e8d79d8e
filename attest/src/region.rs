//! Regions: the fences that operators name and data may be bound to.

use crate::name::name;

name! {
    /// A region's name, 1 to 32 characters of `a-z`, `0-9` and `-`. An operator chooses it, certificates carry it, and the
    /// mesh never changes it: constraints such as "stays in `eu`" speak of regions and of nothing smaller.
    Region
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameError;

    #[test]
    fn a_region_survives_every_format_and_a_bad_one_none() {
        let region: Region = "eu-west".parse().unwrap();
        assert_eq!(postcard::from_bytes(&postcard::to_stdvec(&region).unwrap()), Ok(region.clone()));
        assert_eq!(serde_json::from_str::<Region>("\"eu-west\"").unwrap(), region);
        assert_eq!("EU".parse::<Region>(), Err(NameError::Alphabet));
        assert!(serde_json::from_str::<Region>("\"EU\"").is_err());
    }
}

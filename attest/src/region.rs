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
    use std::collections::BTreeMap;

    #[test]
    fn a_region_survives_every_format_and_a_bad_one_none() {
        let region: Region = "eu-west".parse().unwrap();
        assert_eq!(postcard::from_bytes(&postcard::to_stdvec(&region).unwrap()), Ok(region.clone()));
        assert_eq!(serde_json::from_str::<Region>("\"eu-west\"").unwrap(), region);
        assert_eq!("EU".parse::<Region>(), Err(NameError::Alphabet));
        assert!(serde_json::from_str::<Region>("\"EU\"").is_err());
    }

    #[test]
    fn regions_are_names_in_a_map() {
        let issuers = BTreeMap::from([(Region::new("us").unwrap(), 2), (Region::new("eu").unwrap(), 1)]);
        let text = serde_json::to_string(&issuers).unwrap();
        assert_eq!(text, r#"{"eu":1,"us":2}"#);
        assert_eq!(serde_json::from_str::<BTreeMap<Region, i32>>(&text).unwrap(), issuers);
    }
}

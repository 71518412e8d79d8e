//! How a membership is written: version 1 as it always was, version 2 with a failure domain at its end. One without a
//! failure domain is of version 1, so that it has one form.

use super::{Membership, Roles, VERSION, VERSION_WITH_DOMAIN};
use crate::id::{MeshId, NodeId};
use crate::key::PublicKey;
use crate::name::{FailureDomain, NodeClass};
use crate::region::Region;
use crate::time::UnixSeconds;
use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Fields of version 1.
const FIELDS: usize = 12;

impl Membership {
    /// The version in which it is written.
    #[must_use]
    pub const fn version(&self) -> u8 {
        if self.domain.is_some() { VERSION_WITH_DOMAIN } else { VERSION }
    }
}

impl Serialize for Membership {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_tuple(FIELDS + usize::from(self.domain.is_some()))?;
        fields.serialize_element(&self.version())?;
        fields.serialize_element(&self.mesh)?;
        fields.serialize_element(&self.issuer)?;
        fields.serialize_element(&self.serial)?;
        fields.serialize_element(&self.node)?;
        fields.serialize_element(&self.transport)?;
        fields.serialize_element(&self.statement)?;
        fields.serialize_element(&self.region)?;
        fields.serialize_element(&self.class)?;
        fields.serialize_element(&self.roles)?;
        fields.serialize_element(&self.not_before)?;
        fields.serialize_element(&self.not_after)?;
        if let Some(domain) = &self.domain {
            fields.serialize_element(domain)?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Membership {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(FIELDS + 1, Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Membership;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a membership")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Membership, A::Error> {
        let version: u8 = field(&mut fields)?;
        if version != VERSION && version != VERSION_WITH_DOMAIN {
            return Err(A::Error::custom(format_args!("membership of version {version}")));
        }
        Ok(Membership {
            mesh: field::<_, MeshId>(&mut fields)?,
            issuer: field::<_, NodeId>(&mut fields)?,
            serial: field(&mut fields)?,
            node: field::<_, NodeId>(&mut fields)?,
            transport: field::<_, PublicKey>(&mut fields)?,
            statement: field::<_, PublicKey>(&mut fields)?,
            region: field::<_, Region>(&mut fields)?,
            class: field::<_, NodeClass>(&mut fields)?,
            roles: field::<_, Roles>(&mut fields)?,
            not_before: field::<_, UnixSeconds>(&mut fields)?,
            not_after: field::<_, UnixSeconds>(&mut fields)?,
            domain: if version == VERSION { None } else { Some(field::<_, FailureDomain>(&mut fields)?) },
        })
    }
}

fn field<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(|| A::Error::custom("membership that is cut short"))
}

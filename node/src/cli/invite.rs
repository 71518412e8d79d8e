//! `hedgerow invite`: a ticket on standard output and nothing else, so that it can be redirected to a file.

use serde_json::{Value, json};

use super::failure::{CliError, Exit};
use super::member_arguments::InviteArguments;
use super::output::{OutputFormat, line, print};
use crate::admin::AdminClient;

/// Asks the node, which must be an issuer, for a ticket.
pub(super) async fn run(
    client: &AdminClient,
    arguments: &InviteArguments,
    format: OutputFormat,
) -> Result<Exit, CliError> {
    let body = json!({
        "ttl_s": arguments.ttl,
        "uses": arguments.uses,
        "region": arguments.region,
        "domain": arguments.domain,
        "roles": arguments.roles,
    });
    let answer: Value = client.post("make a ticket", "/admin/v1/invites", &body).await?;
    match (format, answer.get("ticket").and_then(Value::as_str)) {
        (OutputFormat::Table | OutputFormat::Wide, Some(ticket)) => line(ticket)?,
        _ => print(format, &answer, |value, _| value.to_string())?,
    }
    Ok(Exit::Ok)
}

/// Seconds of a ticket's lifetime.
pub(super) fn parse_lifetime(text: &str) -> Result<u64, String> {
    match parse_seconds(text)? {
        total @ 1..=2_592_000 => Ok(total),
        _ => Err("a ticket lives between one second and 30 days".to_owned()),
    }
}

/// Seconds as people write them: a number and one of s, m, h, d.
pub(super) fn parse_seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("write a number and a unit: 90s, 15m, 1h or 2d".to_owned()),
    };
    let count: u64 = number.parse().map_err(|_error| format!("`{number}` is not a whole number"))?;
    count.checked_mul(seconds).ok_or_else(|| "that is longer than anything lasts".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_lifetime;

    #[test]
    fn lifetimes_are_numbers_with_a_unit_and_bounded() {
        assert_eq!(parse_lifetime("90s"), Ok(90));
        assert_eq!(parse_lifetime("2d"), Ok(172_800));
        for bad in ["", "h", "1", "1w", "-1h", "31d", "0s", "99999999999999999999d", "1é"] {
            assert!(parse_lifetime(bad).is_err(), "{bad} was accepted");
        }
    }
}

//! How the demonstration looks at a mesh: public interfaces only, asked again until they say what is expected or time is up.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Between two looks at something that is expected to change.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Looks until `look` answers `Some`, and says how long that took.
///
/// `look` answers `Ok(None)` for "not yet" and `Err` for an answer that could not be had; the last of those is reported when the
/// time is up.
pub(super) async fn until<T, F>(what: &str, patience: Duration, mut look: F) -> Result<(T, Duration)>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let start = Instant::now();
    loop {
        let outcome = look().await;
        let elapsed = start.elapsed();
        match outcome {
            Ok(Some(value)) => return Ok((value, elapsed)),
            Ok(None) if elapsed > patience => bail!("{what}: not within {} s", patience.as_secs()),
            Err(error) if elapsed > patience => {
                return Err(error).with_context(|| format!("{what}: not within {} s", patience.as_secs()));
            }
            Ok(None) | Err(_) => tokio::time::sleep(LOOK_INTERVAL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looking_stops_at_the_first_answer_and_at_the_end_of_patience() {
        let mut looks = 0;
        let (value, _) = until("three looks", Duration::from_secs(1), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        })
        .await
        .unwrap();
        assert_eq!(value, 3);

        let error = until::<(), _>("the impossible", Duration::ZERO, async || bail!("no answer")).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the impossible: not within 0 s: no answer");
    }
}

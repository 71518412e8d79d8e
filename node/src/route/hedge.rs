//! Asking several nodes for one thing when any of them may answer and asking twice harms nobody.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

/// One way to an answer.
#[derive(Debug)]
pub(crate) struct Ask<F> {
    /// How long it has the field for itself.
    pub(crate) patience: Duration,
    /// The question.
    pub(crate) ask: F,
}

/// Begins the asks in their order, each once the one before it has failed or has taken its patience, and gives the first answer;
/// asks that still run are dropped. The error holds why each failed, in the order in which they did.
pub(crate) async fn hedged<T, E, F>(asks: Vec<Ask<F>>) -> Result<T, Vec<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut asks = asks.into_iter();
    let (mut running, mut failures) = (FuturesUnordered::new(), Vec::new());
    loop {
        let patience = asks.next().map(|Ask { patience, ask }| {
            running.push(ask);
            patience
        });
        let silence = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answered = running.next() => match answered {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(error)) => failures.push(error),
                None => return Err(failures),
            },
            () = silence => {}
        }
    }
}

/// How long the nearest of several nodes is asked alone: three round trips, and long enough for a busy one to answer.
pub(crate) fn patience(rtt_us: Option<u64>) -> Duration {
    PATIENCE_MIN.max(Duration::from_micros(rtt_us.unwrap_or(0).saturating_mul(3)))
}

/// Guess; a second ask costs a replica little, and the share of requests that need one would settle it.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SLOW: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_silent_node_costs_its_patience_and_no_more() {
        let started = Instant::now();
        let asks = [(SLOW, Ok(1)), (Duration::from_millis(30), Ok(2)), (Duration::ZERO, Ok(3))];
        assert_eq!(hedged(asks.map(ask).into()).await, Ok::<_, Vec<&str>>(2));
        assert_eq!(started.elapsed(), Duration::from_millis(130));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_begins_the_next_at_once_and_an_early_one_may_still_win() {
        let started = Instant::now();
        let asks = [(Duration::from_millis(150), Ok(1)), (Duration::from_millis(10), Err("two")), (SLOW, Ok(3))];
        assert_eq!(hedged(asks.map(ask).into()).await, Ok(1));
        assert_eq!(started.elapsed(), Duration::from_millis(150));
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_told() {
        let asks = [(Duration::from_millis(150), Err("one")), (Duration::from_millis(10), Err("two"))];
        assert_eq!(hedged(asks.map(ask).into()).await, Err::<u8, _>(vec!["two", "one"]));
        assert_eq!(hedged([(SLOW, Ok(1)); 0].map(ask).into()).await, Err(Vec::<&str>::new()));
    }

    #[test]
    fn patience_is_three_round_trips_and_never_short() {
        assert_eq!(patience(None), Duration::from_millis(100));
        assert_eq!(patience(Some(1_000)), Duration::from_millis(100));
        assert_eq!(patience(Some(80_000)), Duration::from_millis(240));
    }

    fn ask(
        (takes, outcome): (Duration, Result<u8, &'static str>),
    ) -> Ask<impl Future<Output = Result<u8, &'static str>>> {
        let ask = async move {
            let silence = tokio::time::timeout(takes, std::future::pending::<()>()).await;
            silence.map_or(outcome, |()| unreachable!("silence does not end"))
        };
        Ask { patience: Duration::from_millis(100), ask }
    }
}

//! What waits for the disk: persists in flight, and outputs that may leave only after them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hedgerow_protocol::core::Output;
use hedgerow_protocol::id::Token;

use crate::store::{CommitError, Completion};

/// Persists in the order in which they were handed to the store, which is the order in which they complete.
///
/// Tokens are given out in ascending order, so that one number says what is durable.
#[derive(Debug, Default)]
pub(super) struct Durability {
    flying: VecDeque<(Token, Completion)>,
    withheld: VecDeque<(Token, Output)>,
    durable: Token,
    failed: bool,
}

/// What becomes of an output that depends on a token.
#[derive(Debug)]
pub(super) enum Fate {
    /// What it depends on is durable, or it depends on nothing.
    Leaves(Output),
    /// It is kept until that is so.
    Waits,
    /// What it depends on failed, or can only fail: it must not leave.
    Void(Output),
}

impl Durability {
    /// A persist was handed to the store.
    pub(super) fn begun(&mut self, token: Token, completion: Completion) {
        self.flying.push_back((token, completion));
    }

    /// Decides about an output that may leave only after `after`.
    pub(super) fn judge(&mut self, after: Option<Token>, output: Output) -> Fate {
        match after {
            Some(token) if token > self.durable && self.failed => Fate::Void(output),
            Some(token) if token > self.durable => {
                self.withheld.push_back((token, output));
                Fate::Waits
            }
            Some(_) | None => Fate::Leaves(output),
        }
    }

    /// That persist is durable: takes the outputs that waited for it, in their order.
    pub(super) fn succeeded(&mut self, token: Token) -> Vec<Output> {
        self.durable = self.durable.max(token);
        let (released, kept): (VecDeque<_>, _) =
            std::mem::take(&mut self.withheld).into_iter().partition(|(after, _)| *after <= self.durable);
        self.withheld = kept;
        released.into_iter().map(|(_, output)| output).collect()
    }

    /// A persist failed. The store takes no more, so that everything which still waits is void, and whatever will.
    pub(super) fn failed(&mut self) -> Vec<Output> {
        self.failed = true;
        self.withheld.drain(..).map(|(_, output)| output).collect()
    }

    /// Resolves with the oldest persist once it is done; never, while there is none. Dropping it loses nothing.
    pub(super) fn next(&mut self) -> NextDone<'_> {
        NextDone(self)
    }
}

/// See [`Durability::next`].
#[derive(Debug)]
pub(super) struct NextDone<'a>(&'a mut Durability);

impl Future for NextDone<'_> {
    type Output = (Token, Result<(), CommitError>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((token, completion)) = self.0.flying.front_mut() else {
            return Poll::Pending;
        };
        let token = *token;
        let outcome = std::task::ready!(Pin::new(completion).poll(context));
        self.0.flying.pop_front();
        Poll::Ready((token, outcome))
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_protocol::core::Reply;

    use super::*;
    use crate::store::RowChange;
    use crate::store::testing::{Disk, mesh_store};

    #[test]
    fn an_output_leaves_once_its_token_is_durable_and_not_before() {
        let mut durability = Durability::default();
        assert_eq!(leaving(durability.judge(None, reply(1))), Some(1));
        assert_eq!(leaving(durability.judge(Some(Token(4)), reply(2))), None);
        assert_eq!(leaving(durability.judge(Some(Token(3)), reply(3))), None);
        assert_eq!(ids(&durability.succeeded(Token(3))), [3]);
        assert_eq!(ids(&durability.succeeded(Token(4))), [2]);
        assert_eq!(leaving(durability.judge(Some(Token(4)), reply(5))), Some(5), "completed already");
    }

    #[test]
    fn after_a_failure_nothing_leaves_that_depended_on_the_disk() {
        let mut durability = Durability::default();
        assert_eq!(ids(&durability.succeeded(Token(1))), [0; 0]);
        assert_eq!(leaving(durability.judge(Some(Token(2)), reply(2))), None);
        assert_eq!(leaving(durability.judge(Some(Token(3)), reply(3))), None);
        assert_eq!(ids(&durability.failed()), [2, 3]);
        for (after, id) in [(2, 4), (3, 5), (9, 6)] {
            assert!(matches!(durability.judge(Some(Token(after)), reply(id)), Fate::Void(_)), "{id}");
        }
        assert_eq!(leaving(durability.judge(Some(Token(1)), reply(7))), Some(7), "what was durable before");
        assert_eq!(leaving(durability.judge(None, reply(8))), Some(8));
    }

    #[tokio::test]
    async fn persists_complete_in_their_order_and_the_first_failure_is_told() {
        let disk = Disk::default();
        let (store, thread) = mesh_store(&disk);
        let mut durability = Durability::default();
        let put = || vec![RowChange::Put { table: 0, key: vec![1], value: vec![2] }];
        for token in [Token(5), Token(6)] {
            durability.begun(token, store.persist(put(), true).await);
        }
        for expected in [Token(5), Token(6)] {
            let (token, outcome) = durability.next().await;
            assert_eq!(token, expected);
            outcome.unwrap();
        }
        disk.fail();
        durability.begun(Token(7), store.persist(put(), true).await);
        let (token, outcome) = durability.next().await;
        assert!(token == Token(7) && matches!(outcome, Err(CommitError::Failed { .. })), "{token:?} {outcome:?}");
        thread.close().await;
    }

    fn reply(id: u64) -> Output {
        Output::Reply { id, reply: Reply::Done, after: None }
    }

    fn leaving(fate: Fate) -> Option<u64> {
        match fate {
            Fate::Leaves(output) => Some(ids(&[output])[0]),
            Fate::Waits | Fate::Void(_) => None,
        }
    }

    fn ids(outputs: &[Output]) -> Vec<u64> {
        let id = |output: &Output| match output {
            Output::Reply { id, .. } => *id,
            other => panic!("{other:?}"),
        };
        outputs.iter().map(id).collect()
    }
}

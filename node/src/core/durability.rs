//! What waits for the disk: persists in flight, and outputs that may leave only after them.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hedgerow_protocol::core::Output;
use hedgerow_protocol::id::Token;

use crate::store::{CommitError, Completion};

/// Persists in the order in which they were handed to the store, which is the order in which they complete.
#[derive(Debug, Default)]
pub(super) struct Durability {
    flying: VecDeque<(Token, Completion)>,
    withheld: VecDeque<(Token, Output)>,
}

impl Durability {
    /// A persist was handed to the store.
    pub(super) fn begun(&mut self, token: Token, completion: Completion) {
        self.flying.push_back((token, completion));
    }

    /// Keeps an output until `token` completes; gives it back at once where nothing is in flight under that token.
    pub(super) fn withhold(&mut self, after: Option<Token>, output: Output) -> Option<Output> {
        match after {
            Some(token) if self.flying.iter().any(|(flying, _)| *flying == token) => {
                self.withheld.push_back((token, output));
                None
            }
            Some(_) | None => Some(output),
        }
    }

    /// Takes the outputs that waited for `token`, in their order.
    pub(super) fn release(&mut self, token: Token) -> Vec<Output> {
        let (released, kept) = std::mem::take(&mut self.withheld).into_iter().partition(|(after, _)| *after == token);
        self.withheld = kept;
        let released: VecDeque<(Token, Output)> = released;
        released.into_iter().map(|(_, output)| output).collect()
    }

    /// Resolves with the oldest persist once it is done; never, while there is none.
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

//! What is sent, decided one request at a time.

use http::StatusCode;
use rand::rngs::StdRng;

use crate::{Reply, Request};

/// Chooses requests and learns from answers. It is called from one task at a time.
///
/// A scenario that must not race with itself (two changes of one row, whose order would be unknown) keeps
/// the row back from [`next`](Self::next) until [`answered`](Self::answered) has told of the first.
pub trait Scenario: Send + 'static {
    /// What the scenario wants to know again when the answer comes, as what it expects to read.
    type Step: Send + 'static;

    /// The request that is due now.
    fn next(&mut self, random: &mut StdRng) -> Planned<Self::Step>;

    /// What became of a request; writes are put into a ledger here.
    fn answered(&mut self, step: Self::Step, reply: &Reply);

    /// The request was never sent, because too many were in flight.
    fn shed(&mut self, step: Self::Step);
}

/// A request and what belongs to it.
#[derive(Debug)]
pub struct Planned<S> {
    pub request: Request,
    /// Any other status counts as failed.
    pub expected: StatusCode,
    pub step: S,
}

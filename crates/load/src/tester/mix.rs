//! What is sent next: kinds of calls by their weights, of each kind the call of one user.

use rand::{
    Rng as _,
    distr::{Distribution as _, weighted::WeightedIndex},
    rngs::StdRng,
};

use super::{Plan, call::Call, target::Server};

/// One kind of call, and how often it is sent.
#[derive(Debug, Clone)]
pub struct Offer {
    pub name: String,
    /// Its share is this by the sum of all.
    pub weight: f64,
    pub server: Server,
    /// One of these is sent, each as often as the other; one at least, and all speak the same protocol.
    pub calls: Vec<Call>,
}

/// Draws calls.
#[derive(Debug)]
pub(super) struct Mix {
    kinds: Option<WeightedIndex<f64>>,
    users: Vec<usize>,
}

impl Mix {
    pub fn new(plan: &Plan) -> Self {
        // A single kind, or weights that are none, draw the first.
        let weights = plan.offers.iter().map(|offer| offer.weight);
        let kinds = WeightedIndex::new(weights).ok().filter(|_| plan.offers.len() > 1);
        Self { kinds, users: plan.offers.iter().map(|offer| offer.calls.len()).collect() }
    }

    /// Places of an offer and of its call.
    pub fn draw(&self, random: &mut StdRng) -> (usize, usize) {
        let kind = self.kinds.as_ref().map_or(0, |kinds| kinds.sample(random));
        let users = self.users[kind];
        (kind, if users > 1 { random.random_range(0..users) } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn calls_are_drawn_by_their_weights_and_users_evenly() {
        let kinds = WeightedIndex::new([1.0, 0.0, 3.0]).ok();
        let mix = Mix { kinds, users: vec![1, 1, 4] };
        let mut random = StdRng::seed_from_u64(7);
        let drawn: Vec<_> = (0..8_000).map(|_| mix.draw(&mut random)).collect();
        let count = |wanted| drawn.iter().filter(|of| **of == wanted).count();
        assert!((1_850..2_150).contains(&count((0, 0))), "{}", count((0, 0)));
        for user in 0..4 {
            assert!((1_350..1_650).contains(&count((2, user))), "{user}: {}", count((2, user)));
        }
    }
}

//! Who is struck, and how: drawn from the seed.

use std::time::Duration;

use clap::ValueEnum;
use rand::Rng as _;
use rand::rngs::StdRng;

/// A process that can be struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Victim {
    Gateway,
    Monolith,
    Notifications,
    #[value(name = "controller-1")]
    Controller1,
    #[value(name = "controller-2")]
    Controller2,
    PostgresMonolith,
    PostgresServices,
    Kafka,
    Sandbox,
}

/// One blow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blow {
    pub victim: Victim,
    pub how: How,
    /// How long everything is left alone before.
    pub after: Duration,
}

/// What is done to the victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It dies at once and is started again after a second; PostgreSQL by its `immediate` shutdown.
    Kill,
    /// It is stopped for so long and goes on, not knowing that it was.
    Freeze(Duration),
}

/// Of those that may be frozen, how many are.
const FREEZING: f64 = 0.3;

impl Victim {
    /// Its name in the stack.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Monolith => "monolith",
            Self::Notifications => "notifications",
            Self::Controller1 => "controller-1",
            Self::Controller2 => "controller-2",
            Self::PostgresMonolith => "postgres-monolith",
            Self::PostgresServices => "postgres-services",
            Self::Kafka => "kafka",
            Self::Sandbox => "sandbox",
        }
    }

    pub const fn is_postgres(self) -> bool {
        matches!(self, Self::PostgresMonolith | Self::PostgresServices)
    }

    /// Whether it sends, takes or records mails.
    pub const fn mails(self) -> bool {
        matches!(
            self,
            Self::Monolith
                | Self::Notifications
                | Self::PostgresMonolith
                | Self::PostgresServices
                | Self::Sandbox
        )
    }

    /// Whether it leads anything by a lease, which it loses while it is frozen.
    const fn leads(self) -> bool {
        matches!(self, Self::Monolith | Self::Notifications | Self::Controller1 | Self::Controller2)
    }
}

impl Blow {
    /// The next one; the same generator gives the same blows.
    pub fn draw(random: &mut StdRng, victims: &[Victim]) -> Self {
        let victim = victims[random.random_range(0..victims.len())];
        let after = Duration::from_millis(random.random_range(300..3_000));
        let freezes = random.random_bool(FREEZING);
        let length = Duration::from_millis(random.random_range(1_000..8_000));
        let how = if freezes && victim.leads() { How::Freeze(length) } else { How::Kill };
        Self { victim, how, after }
    }

    /// Whether its victim dies.
    pub const fn kills(&self) -> bool {
        matches!(self.how, How::Kill)
    }

    /// For a person.
    pub fn text(&self) -> String {
        match self.how {
            How::Kill => format!("{} is killed", self.victim.name()),
            How::Freeze(length) => {
                format!("{} is frozen for {:.1} s", self.victim.name(), length.as_secs_f64())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::{Blow, How, Victim};

    fn drawn(seed: u64) -> Vec<Blow> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..200).map(|_| Blow::draw(&mut random, Victim::value_variants())).collect()
    }

    #[test]
    fn a_seed_gives_the_same_blows_again() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn everybody_is_struck_and_only_those_who_lead_are_frozen() {
        let blows = drawn(7);
        let mut struck: Vec<_> = blows.iter().map(|blow| blow.victim).collect();
        struck.sort();
        struck.dedup();
        assert_eq!(struck, Victim::value_variants());
        let mut frozen = blows.iter().filter(|blow| blow.how != How::Kill);
        assert!(frozen.clone().count() > 10 && frozen.all(|blow| blow.victim.leads()));
    }
}

//! Which request is next.

use ficus_load::{Planned, Reply, Scenario};
use http::StatusCode;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::World;
use super::step::{Step, What};

type Draw = fn(&mut World, &mut StdRng) -> Option<Planned<Step>>;

/// Per thousand requests. At most 5 % may hash a password, which takes more of the processor than all else.
const MIX: [(u32, Draw); 15] = [
    (15, World::sign_up),
    (10, World::sign_in),
    (60, World::create_task),
    (80, World::update_task),
    (80, World::comment),
    (5, World::comment_elsewhere),
    (85, World::mark_read),
    (35, World::prefer),
    (220, World::read_inbox),
    (150, World::count_unread),
    (50, World::read_preferences),
    (90, World::read_task),
    (60, World::list_tasks),
    (40, World::list_comments),
    (20, World::list_deliveries),
];

impl Scenario for World {
    type Step = Step;

    fn next(&mut self, random: &mut StdRng) -> Planned<Step> {
        if let Some(planned) = self.again(random) {
            return planned;
        }
        if self.only_choosing {
            // Everybody's last change may still be under way.
            return self.prefer(random).unwrap_or_else(|| self.workspaces(random));
        }
        // Of the few each has a change under way all the while, or just had.
        if self.few_choosers
            && random.random_ratio(1, 8)
            && let Some(planned) = self.prefer(random)
        {
            return planned;
        }
        let all: u32 = MIX.iter().map(|(share, _)| share).sum();
        let mut drawn = random.random_range(0..all);
        for (share, draw) in MIX {
            if drawn < share {
                // What cannot be done yet, as changing a task before there is one, is replaced.
                let planned = draw(self, random).unwrap_or_else(|| self.workspaces(random));
                return if self.keyless { without_key(planned) } else { planned };
            }
            drawn -= share;
        }
        self.workspaces(random)
    }

    fn answered(&mut self, step: Step, reply: &Reply) {
        self.take(step, reply);
    }

    fn shed(&mut self, step: Step) {
        match step.what {
            What::Write(write) => self.release(write.holds),
            What::Repeat(unsettled) => self.put_back(*unsettled),
            What::SignIn { client } => {
                self.signing_in.remove(&client);
            }
            _ => {}
        }
    }
}

fn without_key(mut planned: Planned<Step>) -> Planned<Step> {
    planned.request.idempotency_key = None;
    if let What::Write(write) = &mut planned.step.what {
        write.request.idempotency_key = None;
    }
    planned
}

/// A request that is expected to be answered 200.
pub fn expect_ok(request: ficus_load::Request, what: What) -> Planned<Step> {
    let (bearer, route, expected) = (request.bearer.clone(), request.route, StatusCode::OK);
    Planned { request, expected, step: Step { bearer, route, expected, what } }
}

#[cfg(test)]
mod tests {
    use super::MIX;

    #[test]
    fn shares_are_per_thousand() {
        assert_eq!(MIX.iter().map(|(share, _)| share).sum::<u32>(), 1_000);
    }
}

//! The chapters' pages in `docs/tour`: the tour does what they say, so that neither can say anything else.
//!
//! A page is a chapter, `# Chapter 4: …`. Each heading `## …` in it is a step; the paragraph below says why,
//! and the `sh` blocks are what is done, each run as it stands. The last block of a step is what is measured
//! as *during*; those before it make ready.

const PAGES: [&str; 3] = [
    include_str!("../../../../docs/tour/00-mvp.md"),
    include_str!("../../../../docs/tour/03-gateway.md"),
    include_str!("../../../../docs/tour/04-notifications.md"),
];

/// Switches that chapter 4 tells of.
pub const SWITCHES: usize = 3;

/// One chapter.
#[derive(Debug)]
pub struct Chapter {
    pub n: u32,
    pub title: &'static str,
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub why: String,
    pub blocks: Vec<&'static str>,
}

/// Which way the owner changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Reverse,
}

/// The chapters that there are, with at least so many switches: further ones go there and back.
pub fn all(switches: usize) -> Vec<Chapter> {
    let mut chapters = PAGES.map(chapter).map(|chapter| chapter.expect("a test reads every page"));
    for chapter in &mut chapters {
        repeat(&mut chapter.steps, switches);
    }
    chapters.into()
}

fn chapter(page: &'static str) -> Option<Chapter> {
    let (head, _) = page.strip_prefix("# Chapter ")?.split_once('\n')?;
    let (n, title) = head.split_once(": ")?;
    let steps = page.split("\n## ").skip(1).map(step).collect::<Option<Vec<_>>>()?;
    Some(Chapter { n: n.parse().ok()?, title, steps })
}

fn step(section: &'static str) -> Option<Step> {
    let (name, text) = section.split_once("\n\n")?;
    let (why, _) = text.split_once("\n\n")?;
    let fences = text.split("```sh\n").skip(1);
    let blocks = fences.map(|rest| rest.split_once("\n```").map(|(block, _)| block));
    let blocks = blocks.collect::<Option<Vec<_>>>()?;
    (!blocks.is_empty()).then(|| Step {
        name: name.to_owned(),
        why: why.replace('\n', " "),
        blocks,
    })
}

/// Puts further switches to and fro behind the first two.
fn repeat(steps: &mut Vec<Step>, switches: usize) {
    let back = steps.iter().position(|step| step.direction() == Some(Direction::Reverse));
    let Some(back) = back.filter(|back| *back > 0) else { return };
    let pair = [steps[back - 1].clone(), steps[back].clone()];
    let behind = back + 1;
    for round in (0..switches.saturating_sub(SWITCHES).div_ceil(2)).rev() {
        let named =
            |step: &Step| Step { name: format!("{} ({})", step.name, round + 2), ..step.clone() };
        steps.splice(behind..behind, pair.iter().map(named));
    }
}

impl Step {
    /// What makes ready, and what is measured.
    pub fn parts(&self) -> (&[&'static str], &'static str) {
        let (last, first) = self.blocks.split_last().expect("a step has a block");
        (first, last)
    }

    /// Whether it commands the move.
    pub fn moves(&self) -> bool {
        self.blocks.iter().any(|block| block.contains("ficus move "))
    }

    /// Whether customers reach the gateway from then on.
    pub fn opens_gateway(&self) -> bool {
        self.blocks.iter().any(|block| block.contains("lab up --only gateway"))
    }

    /// Which way it changes who owns notifications.
    pub fn direction(&self) -> Option<Direction> {
        let (_, last) = self.parts();
        if last.contains(" switch-traffic") {
            Some(Direction::Forward)
        } else if last.contains(" reverse-traffic") {
            Some(Direction::Reverse)
        } else {
            None
        }
    }
}

impl Direction {
    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Direction, PAGES, SWITCHES, all};

    fn directions(switches: usize) -> Vec<Direction> {
        let chapters = all(switches);
        chapters
            .iter()
            .flat_map(|chapter| &chapter.steps)
            .filter_map(super::Step::direction)
            .collect()
    }

    #[test]
    fn every_block_of_every_page_belongs_to_a_step() {
        let pages = all(SWITCHES);
        assert_eq!(pages.iter().map(|page| page.n).collect::<Vec<_>>(), [0, 3, 4]);
        for (page, text) in pages.iter().zip(PAGES) {
            let blocks: usize = page.steps.iter().map(|step| step.blocks.len()).sum();
            assert_eq!(blocks, text.matches("```sh\n").count(), "chapter {}", page.n);
            assert_eq!(page.steps.len(), text.matches("\n## ").count(), "chapter {}", page.n);
        }
    }

    #[test]
    fn why_is_one_paragraph_of_plain_text() {
        for step in all(SWITCHES).iter().flat_map(|page| &page.steps) {
            assert!(step.why.ends_with('.'), "{}: {}", step.name, step.why);
            assert!(!step.why.contains(['`', '\n', '#']), "{}: {}", step.name, step.why);
        }
    }

    #[test]
    fn switches_go_there_and_back_and_end_at_the_service() {
        for (asked, done) in [(1, 3), (3, 3), (4, 5), (5, 5), (20, 21)] {
            let directions = directions(asked);
            assert_eq!(directions.len(), done, "{asked} asked for");
            let forward = directions.iter().step_by(2).all(|one| *one == Direction::Forward);
            let back = directions.iter().skip(1).step_by(2).all(|one| *one == Direction::Reverse);
            assert!(forward && back, "{directions:?}");
        }
    }

    #[test]
    fn steps_that_are_repeated_have_names_of_their_own() {
        let names: Vec<_> =
            all(20).into_iter().flat_map(|page| page.steps).map(|step| step.name).collect();
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names.iter().any(|name| name == "the service takes over (10)"));
    }
}

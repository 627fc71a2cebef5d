//! What a run must reach: `p99<50ms,errors<0.1%`.

use std::{fmt, str::FromStr, time::Duration};

use super::tally::Tally;

/// All of these must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    goals: Vec<Goal>,
}

#[derive(Debug, Clone, PartialEq)]
enum Goal {
    /// A quantile of the latency, 0 to 1, by its name.
    Latency { name: String, quantile: f64, below: Duration },
    /// The share of requests that failed or were shed, 0 to 1.
    Errors { below: f64 },
}

/// A goal that was not reached, and what was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet(String);

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Slo {
    /// Goals that this does not reach. Without a right answer no latency is reached.
    pub fn unmet(&self, tally: &Tally) -> Vec<Unmet> {
        self.goals.iter().filter_map(|goal| goal.unmet(tally)).collect()
    }
}

impl Goal {
    fn unmet(&self, tally: &Tally) -> Option<Unmet> {
        match self {
            Self::Latency { name, below, .. } if tally.ok == 0 => {
                Some(Unmet(format!("{name}<{below:?}: no request was answered as wanted")))
            }
            Self::Latency { name, quantile, below } => {
                let is = Duration::from_micros(tally.latency.value_at_quantile(*quantile));
                (is >= *below).then(|| Unmet(format!("{name}<{below:?}: it is {is:?}")))
            }
            Self::Errors { below } => {
                let is = tally.errors_share();
                let percent = |share: f64| share * 100.0;
                (is >= *below)
                    .then(|| Unmet(format!("errors<{}%: {:.3}%", percent(*below), percent(is))))
            }
        }
    }
}

impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let goals: Option<Vec<_>> = text.split(',').map(|part| goal(part.trim())).collect();
        goals.map(|goals| Self { goals }).ok_or_else(|| {
            format!(
                "\"{text}\" is no SLO; say p99<50ms,errors<0.1% (p50, p90, p99, p99.9, max, errors)"
            )
        })
    }
}

fn goal(text: &str) -> Option<Goal> {
    let (name, bound) = text.split_once('<')?;
    let positive =
        |text: &str| text.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    if name == "errors" {
        return Some(Goal::Errors { below: positive(bound.strip_suffix('%')?)? / 100.0 });
    }
    let quantile = match name {
        "p50" => 0.5,
        "p90" => 0.9,
        "p99" => 0.99,
        "p99.9" => 0.999,
        "max" => 1.0,
        _ => return None,
    };
    let seconds = match bound.strip_suffix("ms") {
        Some(milliseconds) => positive(milliseconds)? / 1_000.0,
        None => positive(bound.strip_suffix('s')?)?,
    };
    let below = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Goal::Latency { name: name.to_owned(), quantile, below })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unmet(slo: &str, tally: &Tally) -> Vec<String> {
        let slo: Slo = slo.parse().expect("an SLO");
        slo.unmet(tally).iter().map(Unmet::to_string).collect()
    }

    #[test]
    fn goals_that_are_not_reached_are_told_with_what_was() {
        let mut tally = Tally::default();
        for milliseconds in 1..=100 {
            tally.ok(0, Duration::from_millis(milliseconds), Duration::ZERO);
        }
        assert_eq!(unmet("p50<51ms, p99<0.2s, max<101ms, errors<0.1%", &tally), [""; 0]);
        assert_eq!(unmet("p99.9<20ms", &tally).len(), 1);
        tally.shed(0);
        assert_eq!(unmet("errors<0.5%,p50<1s", &tally), ["errors<0.5%: 0.990%"]);
    }

    #[test]
    fn errors_alone_reach_no_latency() {
        let mut tally = Tally::default();
        tally.failed(0, "status 500", String::new);
        assert_eq!(unmet("p99<10s", &tally).len(), 1);
    }

    #[test]
    fn what_is_none_says_what_one_is() {
        for text in
            ["", "p99", "p99<50", "p98<1ms", "errors<1", "p50<-1ms", "errors<0%", "p50<1e999s"]
        {
            assert!(text.parse::<Slo>().expect_err(text).contains("p99<50ms"), "{text}");
        }
    }
}

//! Turns between contenders, forth and back (A-B-B-A), so that what changes about the machine meanwhile meets all.

use anyhow::{Result, ensure};

/// Logarithms of what was measured, a row a round; the first contender is ours.
#[derive(Debug)]
pub struct Measured<const N: usize>(Vec<[f64; N]>);

/// Ours beside one of the others.
#[derive(Debug, PartialEq)]
pub struct Compared {
    /// Geometric mean of all turns, as the other.
    pub ours: f64,
    pub theirs: f64,
    /// Ours by theirs.
    pub ratio: f64,
    /// In which the ratio lies with 95 % confidence: Student's t over the logarithms of the rounds' ratios;
    /// `None` with a single round.
    pub interval: Option<[f64; 2]>,
    /// Turns of each.
    pub n: usize,
}

/// Measures each contender twice a round, by its number.
pub async fn in_turns<const N: usize>(
    rounds: usize,
    mut measure: impl AsyncFnMut(usize) -> Result<f64>,
) -> Result<Measured<N>> {
    let mut measured = Vec::new();
    for _ in 0..rounds {
        let mut sums = [0.0; N];
        for turn in (0..N).chain((0..N).rev()) {
            let value = measure(turn).await?;
            ensure!(value > 0.0, "a turn measured {value}");
            sums[turn] += value.ln() / 2.0;
        }
        measured.push(sums);
    }
    Ok(Measured(measured))
}

impl<const N: usize> Measured<N> {
    /// Ours beside this one.
    pub fn beside(&self, other: usize) -> Compared {
        let of = |contender: usize| self.0.iter().map(|round| round[contender]).collect::<Vec<_>>();
        let ratios: Vec<f64> = self.0.iter().map(|round| round[0] - round[other]).collect();
        let centre = mean(&ratios);
        let half = half_width(&ratios, centre);
        Compared {
            ours: mean(&of(0)).exp(),
            theirs: mean(&of(other)).exp(),
            ratio: centre.exp(),
            interval: half.map(|half| [(centre - half).exp(), (centre + half).exp()]),
            n: self.0.len() * 2,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of rounds")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Quantiles of Student's t at 0.975, by degrees of freedom from 1; beyond, the last is a little too wide.
const T: [f64; 12] =
    [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];

#[expect(clippy::cast_precision_loss, reason = "a handful of rounds")]
fn half_width(values: &[f64], centre: f64) -> Option<f64> {
    let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
    let t = T.get(freedom - 1).or(T.last())?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some(t * (squares / freedom as f64 / values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{Compared, in_turns};

    async fn of(rounds: usize, ours: &[f64], theirs: &[f64]) -> Compared {
        let (mut ours, mut theirs) = (ours.iter(), theirs.iter());
        let measured = in_turns::<2>(rounds, async |turn| {
            let next = if turn == 0 { ours.next() } else { theirs.next() };
            Ok(*next.expect("a value a turn"))
        });
        measured.await.expect("every value is positive").beside(1)
    }

    #[tokio::test]
    async fn twice_as_much_is_a_ratio_of_two() {
        let compared = of(2, &[2.0, 8.0, 4.0, 4.0], &[1.0, 4.0, 2.0, 2.0]).await;
        assert!((compared.ratio - 2.0).abs() < 1e-9, "{compared:?}");
        assert!((compared.ours - 4.0).abs() < 1e-9, "{compared:?}");
        assert_eq!(compared.n, 4);
        let [low, high] = compared.interval.expect("there are two rounds");
        assert!(high - low < 1e-9, "both rounds say the same");
    }

    #[tokio::test]
    async fn rounds_that_differ_widen_the_interval() {
        // The logarithms of the rounds' ratios are 0 and ln 4: their mean is ln 2, and its standard error too.
        let compared = of(2, &[1.0, 1.0, 4.0, 4.0], &[1.0; 4]).await;
        let [low, high] = compared.interval.expect("there are two rounds");
        let half = 12.706 * 2_f64.ln();
        assert!((low.ln() - (2_f64.ln() - half)).abs() < 1e-6, "{low}");
        assert!((high.ln() - (2_f64.ln() + half)).abs() < 1e-6, "{high}");
        assert_eq!(of(1, &[1.0, 1.0], &[1.0, 1.0]).await.interval, None);
    }

    #[tokio::test]
    async fn turns_go_forth_and_back() {
        let mut turns = Vec::new();
        let measured = in_turns::<3>(2, async |turn| {
            turns.push(turn);
            Ok(1.0)
        });
        measured.await.expect("every value is positive");
        assert_eq!(turns, [0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0]);
    }
}

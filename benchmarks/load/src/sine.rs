//! A sine from multiplications and additions alone, so that generated audio does not depend on
//! the mathematics library of the machine.

/// `sin(2π × turns)` within 1e-9.
pub fn sine(turns: f64) -> f64 {
    // Into -0.5..0.5 turns, then mirrored into -0.25..0.25, where the series converges fast.
    let turn = turns - (turns + 0.5).floor();
    let folded = if turn > 0.25 {
        0.5 - turn
    } else if turn < -0.25 {
        -0.5 - turn
    } else {
        turn
    };
    let x = folded * core::f64::consts::TAU;
    let square = x * x;
    let mut term = x;
    let mut sum = x;
    for order in 1..8 {
        term *= -square / f64::from((2 * order) * (2 * order + 1));
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        for step in -4000..4000 {
            let turns = f64::from(step) / 1000.0;
            let expected = (turns * core::f64::consts::TAU).sin();
            assert!((sine(turns) - expected).abs() < 1e-9, "{turns}");
        }
    }
}

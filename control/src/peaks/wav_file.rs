//! Peaks of a WAV file.

use std::path::Path;

use hound::{SampleFormat, WavReader};

use super::{Fold, Peaks, PeaksError};

/// Reads the file sample by sample.
pub(super) fn peaks(path: &Path) -> Result<Peaks, PeaksError> {
    let mut reader = WavReader::open(path).map_err(refused)?;
    let spec = reader.spec();
    let channels = usize::from(spec.channels);
    let mut fold = Fold::new(channels, spec.sample_rate)?;
    match spec.sample_format {
        SampleFormat::Float => each_frame(reader.samples::<f32>(), channels, &mut fold)?,
        SampleFormat::Int => {
            let full = f64::from(spec.bits_per_sample.max(1)) - 1.0;
            let scale = 1.0 / full.exp2() as f32;
            let samples = reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 * scale));
            each_frame(samples, channels, &mut fold)?;
        }
    }
    fold.finish(u64::MAX)
}

fn each_frame(
    samples: impl Iterator<Item = hound::Result<f32>>,
    channels: usize,
    fold: &mut Fold,
) -> Result<(), PeaksError> {
    let mut frame = Vec::with_capacity(channels);
    for sample in samples {
        frame.push(sample.map_err(refused)?);
        if frame.len() == channels {
            fold.push(frame.drain(..))?;
        }
    }
    Ok(())
}

fn refused(error: hound::Error) -> PeaksError {
    match error {
        hound::Error::IoError(error) => PeaksError::Io(error),
        error => PeaksError::Undecodable(error.to_string()),
    }
}

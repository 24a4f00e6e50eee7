//! The server's clock: the machine's own, or one that tests set and speed up.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::RwLock;

/// A handle to a clock; clones read and set the same one.
#[derive(Clone, Debug)]
pub struct Clock(Arc<RwLock<ClockState>>);

#[derive(Debug)]
struct ClockState {
    /// The instant to which `wall` and `monotonic` belong.
    anchor: Instant,
    /// This clock's wall time at the anchor; `None` while it follows the machine's clock, with
    /// its corrections (NTP).
    wall: Option<SystemTime>,
    /// This clock's monotonic time at the anchor.
    monotonic: Duration,
    /// Seconds of this clock per second of the machine's.
    speed: f64,
}

impl ClockState {
    fn elapsed(&self) -> Duration {
        let real = self.anchor.elapsed();
        if self.speed == 1.0 { real } else { real.mul_f64(self.speed) }
    }

    fn now(&self) -> SystemTime {
        self.wall.map_or_else(SystemTime::now, |wall| wall + self.elapsed())
    }
}

impl Clock {
    /// A clock that follows the machine's until it is set or sped up.
    #[must_use]
    pub fn real() -> Clock {
        Clock::with(None, 1.0)
    }

    /// A clock that starts at `start` and runs `speed` times as fast as the machine's.
    ///
    /// # Panics
    /// If `speed` is not a finite number above zero.
    #[must_use]
    pub fn scaled(start: SystemTime, speed: f64) -> Clock {
        Clock::with(Some(start), assert_valid_speed(speed))
    }

    fn with(wall: Option<SystemTime>, speed: f64) -> Clock {
        Clock(Arc::new(RwLock::new(ClockState { anchor: Instant::now(), wall, monotonic: Duration::ZERO, speed })))
    }

    /// The current wall time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.read(ClockState::now)
    }

    /// How long this clock has run, on its own scale; [`Clock::set`] does not change it.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.read(|state| state.monotonic + state.elapsed())
    }

    /// How long to sleep in real time for `scaled` to pass on this clock.
    #[must_use]
    pub fn real_duration(&self, scaled: Duration) -> Duration {
        self.read(|state| scaled.div_f64(state.speed))
    }

    /// Sets the wall time to `now`; the clock runs on from there.
    pub fn set(&self, now: SystemTime) {
        self.update(|state| state.wall = Some(now));
    }

    /// Makes the clock run `speed` times as fast as the machine's from now on.
    ///
    /// # Panics
    /// If `speed` is not a finite number above zero.
    pub fn set_speed(&self, speed: f64) {
        let speed = assert_valid_speed(speed);
        self.update(|state| {
            state.wall = Some(state.now());
            state.speed = speed;
        });
    }

    fn read<T>(&self, of: impl FnOnce(&ClockState) -> T) -> T {
        of(&self.0.read())
    }

    /// Applies `change`, with the anchor moved to the present.
    fn update(&self, change: impl FnOnce(&mut ClockState)) {
        let mut state = self.0.write();
        let elapsed = state.elapsed();
        state.monotonic += elapsed;
        change(&mut state);
        state.anchor = Instant::now();
    }
}

fn assert_valid_speed(speed: f64) -> f64 {
    assert!(speed.is_finite() && speed > 0.0, "a clock's speed is a finite number above zero, not {speed}");
    speed
}

/// The timestamp of a time; the Unix epoch if it is outside jiff's range.
pub(crate) fn timestamp(time: SystemTime) -> jiff::Timestamp {
    jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// A time in UTC as ISO 8601, without fractions of a second, as AWS formats expiries.
pub(crate) fn iso8601(time: SystemTime) -> String {
    timestamp(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);

    #[test]
    fn a_scaled_clock_runs_faster() {
        let clock = Clock::scaled(SystemTime::UNIX_EPOCH + NEW_YEAR, 10_000.0);
        std::thread::sleep(Duration::from_millis(5));
        let elapsed = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - NEW_YEAR;
        assert!(elapsed >= Duration::from_secs(50), "{elapsed:?}");
        assert_eq!(clock.real_duration(Duration::from_secs(10)), Duration::from_millis(1));
    }

    #[test]
    fn setting_changes_the_wall_time_only() {
        let clock = Clock::real();
        let before = clock.monotonic();
        clock.set(clock.now() + Duration::from_secs(7200));
        let ahead = clock.now().duration_since(SystemTime::now()).unwrap();
        assert!(ahead > Duration::from_secs(7100));
        assert!(clock.monotonic() - before < Duration::from_secs(60));
    }

    #[test]
    fn a_change_of_speed_keeps_the_time() {
        let clock = Clock::scaled(SystemTime::UNIX_EPOCH + NEW_YEAR, 1.0);
        clock.set_speed(1000.0);
        let elapsed = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - NEW_YEAR;
        assert!(elapsed < Duration::from_secs(60), "{elapsed:?}");
        std::thread::sleep(Duration::from_millis(5));
        assert!(clock.monotonic() >= Duration::from_secs(5));
    }
}

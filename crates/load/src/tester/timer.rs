//! Sleeping until a moment, to some ten microseconds where the system can. tokio's timer wakes up to a millisecond
//! late, which would be told as the target's latency.

#[cfg(target_os = "linux")]
pub(crate) use linux::Timer;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Timer;

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io,
        os::fd::{AsFd as _, AsRawFd, RawFd},
        time::Instant,
    };

    use nix::sys::{
        time::TimeSpec,
        timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
    };
    use tokio::io::{Interest, unix::AsyncFd};

    pub struct Timer(AsyncFd<Raw>);

    /// What tokio asks of a descriptor, of which nix's timer has a half.
    struct Raw(TimerFd);

    impl AsRawFd for Raw {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        /// Within a runtime.
        #[expect(
            deprecated,
            reason = "what takes its place is unsafe for types that could give their descriptor away; this one cannot"
        )]
        pub fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            Ok(Self(AsyncFd::with_interest(Raw(timer), Interest::READABLE)?))
        }

        pub async fn until(&self, when: Instant) -> io::Result<()> {
            let rest = when.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            let once = Expiration::OneShot(TimeSpec::from_duration(rest));
            self.0.get_ref().0.set(once, TimerSetTimeFlags::empty())?;
            loop {
                let mut ready = self.0.readable().await?;
                if ready.try_io(|timer| Ok(timer.get_ref().0.wait()?)).is_ok() {
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::{io, time::Instant};

    pub struct Timer;

    impl Timer {
        pub fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub async fn until(&self, when: Instant) -> io::Result<()> {
            tokio::time::sleep_until(when.into()).await;
            Ok(())
        }
    }
}

//! Passwords are hashed by Argon2id with 19 MiB, two passes, one lane: the second of the settings that
//! OWASP's password storage cheat sheet recommends.

use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use ficus_process::random;
use ficus_rpc::Error;
use tokio::sync::Semaphore;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and checks passwords, no more at once than there are cores, off the threads that answer
/// requests.
#[derive(Clone, Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// Checked where there is no account, so that the time does not tell.
    nobody: Arc<str>,
}

impl Passwords {
    /// # Errors
    /// Argon2 refuses its parameters or the system has no memory for it.
    pub fn new() -> Result<Self, Error> {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        let nobody = hash(&random::token(), &random::bytes::<16>())?.into();
        Ok(Self { permits: Arc::new(Semaphore::new(cores)), nobody })
    }

    /// The hash to store, in PHC format.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        let salt = random::bytes::<16>();
        self.run(move || hash(&password, &salt)).await
    }

    /// Whether the password is the one that was hashed; never, where there is no hash.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.to_string());
        self.run(move || verify(&password, &stored)).await.map(|right| right && known)
    }

    /// The permit goes with the work, which runs to its end also when the caller has gone away.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.map_err(|error| internal(&error))?
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| internal(&error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &str, salt: &[u8]) -> Result<String, Error> {
    let hash: PasswordHash = argon2()?
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|error| internal(&error))?;
    Ok(hash.to_string())
}

fn verify(password: &str, stored: &str) -> Result<bool, Error> {
    let stored = PasswordHash::new(stored).map_err(|error| internal(&error))?;
    Ok(argon2()?.verify_password(password.as_bytes(), &stored).is_ok())
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    tracing::error!(%error, "failed to hash a password");
    Error::internal()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[tokio::test]
    async fn the_right_password_is_told_from_a_wrong_one() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let verify = |text: &str, stored| passwords.verify(text.to_owned(), stored);
        assert!(verify("correct horse battery", Some(stored.clone())).await.unwrap());
        assert!(!verify("wrong", Some(stored)).await.unwrap());
        assert!(!verify("wrong", None).await.unwrap());
    }
}

//! Passwords are hashed by Argon2id with 19 MiB, two passes, one lane: the second of the settings that
//! OWASP's password storage cheat sheet recommends.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use ficus_process::random;
use ficus_rpc::Error;
use tokio::sync::Semaphore;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes and checks passwords, no more at once than there are cores, off the threads that answer
/// requests.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// Of hashings that have ended, for the next ones. Were it freed, glibc would keep up to 60 MiB of it
    /// for each of the threads that have ever hashed: 800 MiB here after 400 sign-ups.
    memory: Arc<Mutex<Vec<Memory>>>,
    /// Checked where there is no account, so that the time does not tell.
    nobody: Arc<str>,
}

/// What one hashing works in. Its first pass writes all of it, so it need not be empty.
type Memory = Vec<Block>;

impl Passwords {
    /// # Errors
    /// Argon2 refuses its parameters.
    pub fn new() -> Result<Self, Error> {
        let cores = available_parallelism().map_or(1, std::num::NonZero::get);
        // No password has a hash that was drawn, and checking one against it takes as long as any.
        let drawn = Output::new(&random::bytes::<{ Params::DEFAULT_OUTPUT_LEN }>());
        let drawn = drawn.map_err(|error| internal(&error))?;
        let nobody = PasswordHash { hash: Some(drawn), ..unhashed(&random::bytes::<16>())? };
        let memory = Arc::new(Mutex::new(Vec::new()));
        let permits = Arc::new(Semaphore::new(cores));
        Ok(Self { permits, memory, nobody: nobody.to_string().into() })
    }

    /// The hash to store, in PHC format.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        let salt = random::bytes::<16>();
        self.run(move |memory| hash(&password, &salt, memory)).await
    }

    /// Whether the password is the one that was hashed; never, where there is no hash.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Error> {
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.to_string());
        let right = self.run(move |memory| verify(&password, &stored, memory)).await?;
        Ok(right && known)
    }

    /// The permit goes with the work, which runs to its end also when the caller has gone away.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
        let unused = Arc::clone(&self.memory);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let lock = || unused.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = lock().pop().unwrap_or_default();
            let done = work(&mut memory);
            lock().push(memory);
            done
        });
        task.await.map_err(|error| internal(&error))?
    }
}

fn hash(password: &str, salt: &[u8], memory: &mut Memory) -> Result<String, Error> {
    let hash = unhashed(salt)?;
    let output = output(password, &hash, Params::DEFAULT_OUTPUT_LEN, memory)?;
    Ok(PasswordHash { hash: Some(output), ..hash }.to_string())
}

/// How the next password is hashed.
fn unhashed(salt: &[u8]) -> Result<PasswordHash, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| internal(&error))?;
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|error| internal(&error))?,
        salt: Some(Salt::new(salt).map_err(|error| internal(&error))?),
        hash: None,
    })
}

fn verify(password: &str, stored: &str, memory: &mut Memory) -> Result<bool, Error> {
    let stored = PasswordHash::new(stored).map_err(|error| internal(&error))?;
    let known = stored.hash.as_ref().ok_or_else(|| internal(&"nothing is stored"))?;
    // Outputs are compared in constant time.
    Ok(output(password, &stored, known.len(), memory)? == *known)
}

/// What Argon2 makes of the password by the algorithm, the settings and the salt that `by` names.
fn output(
    password: &str,
    by: &PasswordHash,
    length: usize,
    memory: &mut Memory,
) -> Result<Output, Error> {
    let argon2 = settings(by).map_err(|error| internal(&error))?;
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let salt = by.salt.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let mut out = vec![0; length];
    argon2
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut out, memory)
        .map_err(|error| internal(&error))?;
    Output::new(&out).map_err(|error| internal(&error))
}

fn settings(by: &PasswordHash) -> argon2::password_hash::Result<Argon2<'static>> {
    let version = by.version.map(Version::try_from).transpose()?.unwrap_or_default();
    Ok(Argon2::new(Algorithm::try_from(by.algorithm.as_str())?, version, Params::try_from(by)?))
}

fn internal(error: &dyn std::fmt::Display) -> Error {
    tracing::error!(%error, "failed to hash a password");
    Error::internal()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use argon2::password_hash::PasswordHasher as _;

    use super::*;

    #[tokio::test]
    async fn the_right_password_is_told_from_a_wrong_one() {
        let passwords = Passwords::new().unwrap();
        let as_dear = |hash: &str| hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$");
        let stored = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(as_dear(&stored), "{stored}");
        let verify = |text: &str, stored| passwords.verify(text.to_owned(), stored);
        assert!(verify("correct horse battery", Some(stored.clone())).await.unwrap());
        assert!(!verify("wrong", Some(stored)).await.unwrap());
        assert!(!verify("wrong", None).await.unwrap());
        assert!(as_dear(&passwords.nobody), "{}", passwords.nobody);

        let elsewhere = "$argon2id$v=19$m=64,t=1,p=1$c29tZSBzYWx0IHRoYXQ$";
        let params = Params::new(64, 1, 1, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let other = argon2.hash_password_with_salt(b"battery", b"some salt that").unwrap();
        assert!(other.to_string().starts_with(elsewhere), "{other}");
        assert!(verify("battery", Some(other.to_string())).await.unwrap());
        assert!(!verify("wrong", Some(other.to_string())).await.unwrap());
    }
}

//! Users, workspaces, members and what they prefer.

use anyhow::{Context as _, Result};
use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use rand::Rng as _;
use sqlx::PgPool;

use super::copy::Copy;
use super::plan::{Plan, TEAM, moment};
use super::words;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

pub async fn users(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(1);
    let hash = password_hash()?;
    let mut copy =
        Copy::into(pool, "users (id, email, name, password_hash, version, created_at)").await?;
    for id in 1..=plan.users {
        let name = words::person(&mut random);
        let address = name.to_lowercase().replace(' ', ".");
        let email = format!("{address}.{id}@example.com");
        let created = moment(&mut random, id, plan.users);
        copy.row(&[&id, &email, &name, &hash, &1, &created]).await?;
    }
    copy.finish().await
}

pub async fn workspaces(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(2);
    let mut copy = Copy::into(pool, "workspaces (id, name, created_at)").await?;
    for id in 1..=plan.workspaces {
        let name = words::company(&mut random);
        copy.row(&[&id, &name, &moment(&mut random, id, plan.workspaces)]).await?;
    }
    copy.finish().await
}

/// The first of a team owns the workspace.
pub async fn members(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut copy = Copy::into(pool, "members (workspace_id, user_id, role)").await?;
    for user in 1..=plan.users {
        let role = if user % TEAM == 1 { "owner" } else { "member" };
        copy.row(&[&Plan::workspace_of(user), &user, &role]).await?;
    }
    copy.finish().await
}

/// One in ten has changed something.
pub async fn preferences(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(3);
    let mut copy =
        Copy::into(pool, "notification_preferences (user_id, settings, version)").await?;
    for user in (1..=plan.users).filter(|user| user % TEAM == 0) {
        let (in_app, email, version) =
            (random.random_bool(0.9), random.random_bool(0.3), user % 5 + 1);
        let settings = format!(
            "{{\"mention\": {{\"in_app\": {in_app}, \"email\": {email}}}, \
             \"assignment\": {{\"in_app\": true, \"email\": {email}}}}}"
        );
        copy.row(&[&user, &settings, &version]).await?;
    }
    copy.finish().await
}

/// One hash for all, with the monolith's own parameters: hashing thousands takes minutes.
fn password_hash() -> Result<String> {
    let parameters = Params::new(19 * 1024, 2, 1, None).context("failed to set argon2 up")?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let hash = argon2
        .hash_password_with_salt(PASSWORD.as_bytes(), b"a salt for seeds")
        .context("failed to hash the password")?;
    Ok(hash.to_string())
}

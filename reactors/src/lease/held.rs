//! A lease while somebody has it: renewing it, noticing that it is lost, giving it back.

use std::future::Future;
use std::sync::Arc;

use daybook_read_models::ReadError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Leases;

/// Why a lease could not be renewed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It ended before it was renewed; another process may have it now.
    #[error("the lease was lost: it ended before it was renewed")]
    Lost,
    /// The database cannot be asked.
    #[error(transparent)]
    Database(#[from] ReadError),
}

/// What work under a lease knows of it: the token that its effects carry, and whether it still may. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fence {
    token: u64,
    valid_until: Arc<watch::Sender<Instant>>,
}

impl Fence {
    pub(super) fn new(token: u64, valid_until: Instant) -> Self {
        Self { token, valid_until: Arc::new(watch::Sender::new(valid_until)) }
    }

    /// Larger than that of every holder before.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether the lease has not ended, as far as this process knows. False for certain where it has.
    pub fn is_held(&self) -> bool {
        Instant::now() < *self.valid_until.borrow()
    }

    /// Waits until the lease has ended. Does not end while it is renewed.
    async fn ended(&self) {
        let mut renewed = self.valid_until.subscribe();
        loop {
            let until = *renewed.borrow_and_update();
            if Instant::now() >= until {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _ = renewed.changed() => {}
            }
        }
    }
}

/// A lease that this process has.
pub struct Lease {
    leases: Leases,
    name: String,
    holder: String,
    fence: Fence,
}

impl Lease {
    pub(super) fn new(leases: Leases, name: String, holder: String, fence: Fence) -> Self {
        Self { leases, name, holder, fence }
    }

    /// Its token.
    pub fn token(&self) -> u64 {
        self.fence.token
    }

    /// What work under it is given.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Makes it last its full time from now on. One that has ended cannot be renewed, whether or not somebody else has it.
    pub async fn renew(&self) -> Result<(), LeaseError> {
        let asked = Instant::now();
        let mut transaction = self.leases.begin().await?;
        let now = self.leases.now(&mut transaction).await?;
        let renewed = sqlx::query(
            "update leases set expires_at = $1 where ledger_id = $2 and name = $3 and holder = $4 and token = $5 \
             and expires_at > $6",
        )
        .bind(now.saturating_add(self.leases.micros()))
        .bind(self.leases.ledger.as_str())
        .bind(&self.name)
        .bind(&self.holder)
        .bind(i64::try_from(self.fence.token).unwrap_or(i64::MAX))
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(ReadError::from)?;
        if renewed.rows_affected() == 0 {
            self.fence.valid_until.send_replace(asked);
            return Err(LeaseError::Lost);
        }
        transaction.commit().await.map_err(ReadError::from)?;
        self.fence.valid_until.send_replace(asked + self.leases.time);
        Ok(())
    }

    /// Gives it back at once, so that nobody waits for its end. Its token is never given out again.
    pub async fn release(self) -> Result<(), ReadError> {
        self.fence.valid_until.send_replace(Instant::now());
        let mut transaction = self.leases.begin().await?;
        sqlx::query(
            "update leases set expires_at = 0 where ledger_id = $1 and name = $2 and holder = $3 and token = $4",
        )
        .bind(self.leases.ledger.as_str())
        .bind(&self.name)
        .bind(&self.holder)
        .bind(i64::try_from(self.fence.token).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Does `work` while the lease is kept, and gives it back. Work under a lost lease is dropped.
    pub(super) async fn work(self, work: impl Future<Output = ()>) {
        let lease = Arc::new(self);
        // A task of its own: work that keeps its thread busy for a while does not lose the lease by it.
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(Arc::clone(&lease)));
        let fence = lease.fence();
        let is_lost = tokio::select! {
            biased;
            () = fence.ended() => true,
            () = work => false,
        };
        keeper.shutdown().await;
        let name = lease.name.clone();
        if is_lost {
            tracing::warn!(
                lease = name,
                token = fence.token,
                "a lease was lost; its work is left to whoever has it next"
            );
        } else if let Some(lease) = Arc::into_inner(lease)
            && let Err(error) = lease.release().await
        {
            tracing::warn!(lease = name, %error, "a lease could not be given back; it ends by itself");
        }
    }
}

/// Renews the lease again and again, until it is lost.
async fn keep(lease: Arc<Lease>) {
    let pause = lease.leases.time / 3;
    loop {
        tokio::time::sleep(pause).await;
        match lease.renew().await {
            Ok(()) => {}
            Err(LeaseError::Lost) => return,
            // Until its end there is time to try again.
            Err(LeaseError::Database(error)) => {
                tracing::warn!(lease = lease.name, %error, "a lease could not be renewed yet");
            }
        }
    }
}

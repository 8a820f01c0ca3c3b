//! Leases: what only one process may do at a time, with a fencing token for whatever outlives a lost lease.
//!
//! A lease is a row of the read database with a holder, an end and a token that grows with each new holder. Whoever holds it
//! renews it long before its end; whoever finds it ended takes it over. A holder that was asleep for too long still
//! believes in its lease when it wakes, so the effects of work under a lease carry the token, and what has seen a larger one
//! refuses them.
//!
//! **Which clock.** On PostgreSQL the database's own clock says whether a lease has ended: the clocks of two machines may be
//! further apart than a lease lasts, and both ask the same database. On SQLite there is one process (the ledger's lock file
//! sees to that), and its clock, which tests set, decides. A holder, besides, counts its lease from before it asked for it, by
//! a clock that is never set back, and so ceases to believe in it no later than the database does.

mod held;

use std::future::Future;
use std::time::Duration;

use daybook_ledger::LedgerId;
use daybook_ledger::sequencer::Clock;
use daybook_read_models::{ReadDb, ReadError, StoreKind};
use sqlx::{AnyConnection, Executor, Row};
use tokio::sync::watch;
use tokio::time::Instant;

pub use held::{Fence, Lease, LeaseError};

use crate::tables;

/// How long a lease lasts unless it is renewed.
pub const LEASE_TIME: Duration = Duration::from_secs(15);
const SCHEMA: &str = include_str!("../../migrations/read/0002_leases.sql");

/// The leases of one ledger's work. Cheap to clone.
#[derive(Clone)]
pub struct Leases {
    database: ReadDb,
    ledger: LedgerId,
    clock: Clock,
    time: Duration,
}

impl Leases {
    /// Leases in `database` for what is done for `ledger`, each lasting [`LEASE_TIME`]. Makes the table where it is missing.
    ///
    /// To be called once when a process begins to work for the ledger: on SQLite, where no other process can be at work,
    /// leases that a process before this one left behind end here, so that nobody waits for the dead.
    pub async fn open(database: ReadDb, ledger: LedgerId, clock: Clock) -> Result<Self, ReadError> {
        tables::make(&database, SCHEMA).await?;
        let leases = Self { database, ledger, clock, time: LEASE_TIME };
        if leases.database.kind() == StoreKind::Sqlite {
            let mut transaction = leases.database.begin().await?;
            sqlx::query("update leases set expires_at = 0 where ledger_id = $1")
                .bind(leases.ledger.as_str())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Ok(leases)
    }

    /// With leases that last `time`.
    pub fn lasting(self, time: Duration) -> Self {
        Self { time: time.max(Duration::from_millis(1)), ..self }
    }

    /// Whose work it is.
    pub fn ledger(&self) -> &LedgerId {
        &self.ledger
    }

    /// Takes the lease `name` if it is free or has ended; `None` while somebody else has it.
    pub async fn acquire(&self, name: &str) -> Result<Option<Lease>, ReadError> {
        let asked = Instant::now();
        let holder = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        let mut transaction = self.begin().await?;
        sqlx::query(
            "insert into leases (ledger_id, name, holder, token, expires_at) values ($1, $2, '', 0, 0) \
             on conflict (ledger_id, name) do nothing",
        )
        .bind(self.ledger.as_str())
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        let lock = match self.database.kind() {
            StoreKind::Sqlite => "",
            StoreKind::Postgres => " for update",
        };
        let sql = format!("select token, expires_at from leases where ledger_id = $1 and name = $2{lock}");
        let row = sqlx::query(&sql).bind(self.ledger.as_str()).bind(name).fetch_one(&mut *transaction).await?;
        let (token, expires_at): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let now = self.now(&mut transaction).await?;
        if expires_at > now {
            return Ok(None);
        }
        // At least the present second: tokens grow also where the read database was thrown away and made again.
        let token = token.saturating_add(1).max(now / 1_000_000);
        sqlx::query("update leases set holder = $1, token = $2, expires_at = $3 where ledger_id = $4 and name = $5")
            .bind(&holder)
            .bind(token)
            .bind(now.saturating_add(self.micros()))
            .bind(self.ledger.as_str())
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let token = u64::try_from(token).unwrap_or(0);
        Ok(Some(Lease::new(self.clone(), name.to_owned(), holder, Fence::new(token, asked + self.time))))
    }

    /// Does `work` whenever this process has the lease `name`, until `shutdown` is true.
    ///
    /// The work is given the fence that it works behind. It should end by itself at the shutdown; where the lease is lost it
    /// is dropped wherever it stands. Work that ends by itself otherwise is begun anew after a pause.
    pub async fn hold<F, W>(&self, name: &str, mut shutdown: watch::Receiver<bool>, work: F)
    where
        F: Fn(Fence) -> W,
        W: Future<Output = ()>,
    {
        let mut was_failing = false;
        while !*shutdown.borrow() {
            match self.acquire(name).await {
                Ok(Some(lease)) => {
                    was_failing = false;
                    tracing::debug!(lease = name, ledger = %self.ledger, token = lease.token(), "lease taken");
                    let work = work(lease.fence());
                    lease.work(work).await;
                }
                Ok(None) => {}
                Err(error) => {
                    if !was_failing {
                        tracing::error!(lease = name, ledger = %self.ledger, %error, "a lease cannot be asked for");
                    }
                    was_failing = true;
                }
            }
            // Often enough to notice soon that another process is gone.
            let pause = (self.time / 5).min(Duration::from_secs(2));
            tokio::select! {
                stop = shutdown.changed() => if stop.is_err() { return },
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// A writing transaction that is durable once committed: a token that was given out must never be given out again.
    async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>, ReadError> {
        let mut transaction = self.database.begin().await?;
        if self.database.kind() == StoreKind::Postgres {
            let connection: &mut AnyConnection = &mut transaction;
            connection.execute("set local synchronous_commit = on").await?;
        }
        Ok(transaction)
    }

    /// The time by which leases end, in microseconds.
    async fn now(&self, connection: &mut AnyConnection) -> Result<i64, ReadError> {
        match self.database.kind() {
            StoreKind::Sqlite => Ok((self.clock)()),
            StoreKind::Postgres => {
                let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
                Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
            }
        }
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.time.as_micros()).unwrap_or(i64::MAX)
    }
}

"""The tables of a ledger, and how an older file becomes a new one."""

from __future__ import annotations

SCHEMA_VERSION = 1

# MIGRATIONS[v] brings a ledger of version v to v + 1. The first creates it.
MIGRATIONS = [
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE environments (id INTEGER PRIMARY KEY, started_at REAL NOT NULL, record TEXT NOT NULL);
    CREATE TABLE trials (
        id TEXT PRIMARY KEY,
        position INTEGER,          -- in the current plan; NULL where a former plan left it
        role TEXT NOT NULL,        -- search | confirm | control
        dataset TEXT NOT NULL,
        protocol TEXT NOT NULL,    -- canonical JSON: backbone, training, dataset options, few-label setting, profile
        method TEXT NOT NULL,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        params TEXT NOT NULL,      -- canonical JSON, resolved
        seed INTEGER NOT NULL,
        budget INTEGER NOT NULL,   -- epochs of a full run
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        error TEXT,
        resources TEXT NOT NULL DEFAULT '{}',
        checkpoint TEXT,           -- newest, relative to the storage
        artefacts TEXT NOT NULL DEFAULT '{}',  -- kind -> path relative to the experiment's folder
        started_at REAL,
        finished_at REAL
    );
    CREATE TABLE epochs (
        trial TEXT NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
        epoch INTEGER NOT NULL,    -- 1 … budget
        seq INTEGER NOT NULL,      -- order of first arrival over the whole experiment
        target_accuracy REAL,      -- percent, oracle: for reporting only
        criteria TEXT NOT NULL,    -- JSON: computed without target labels
        losses TEXT NOT NULL,      -- JSON
        seconds REAL NOT NULL,     -- of this epoch
        PRIMARY KEY (trial, epoch)
    ) WITHOUT ROWID;
    CREATE INDEX epochs_in_order ON epochs (seq);
    """,
]

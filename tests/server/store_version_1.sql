-- The tables of version 1, as PostgreSQL reads them; SQLite takes its types, too.

CREATE TABLE wx_server (
    name VARCHAR(40) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE wx_server_keys (
    id VARCHAR(40) NOT NULL,
    tenant VARCHAR(63) NOT NULL,
    name VARCHAR(63) NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION,
    revoked_at DOUBLE PRECISION,
    PRIMARY KEY (id)
);

CREATE TABLE wx_server_runs (
    id VARCHAR(40) NOT NULL,
    tenant VARCHAR(63) NOT NULL,
    key_id VARCHAR(40) NOT NULL,
    state VARCHAR(10) NOT NULL,
    may_have_effects INTEGER NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    started_at DOUBLE PRECISION,
    ended_at DOUBLE PRECISION,
    attempts INTEGER NOT NULL,
    "order" BYTEA,
    input BYTEA,
    wall_seconds DOUBLE PRECISION NOT NULL,
    has_grants INTEGER NOT NULL,
    status INTEGER,
    cpu_us BIGINT,
    wall_us BIGINT,
    http_requests BIGINT,
    http_bytes_sent BIGINT,
    http_bytes_received BIGINT,
    output_bytes BIGINT,
    row_count BIGINT,
    log_count BIGINT,
    peak_memory_bytes BIGINT,
    log_dropped BIGINT,
    rows BYTEA,
    logs BYTEA,
    error BYTEA,
    warnings BYTEA,
    PRIMARY KEY (id)
);

CREATE INDEX ix_wx_server_runs_state ON wx_server_runs (state);

CREATE INDEX ix_wx_server_runs_tenant ON wx_server_runs (tenant, created_at);

CREATE TABLE wx_server_tenants (
    name VARCHAR(63) NOT NULL,
    document TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE wx_server_usage (
    tenant VARCHAR(63) NOT NULL,
    hour BIGINT NOT NULL,
    runs BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cpu_us BIGINT NOT NULL,
    wall_us BIGINT NOT NULL,
    http_requests BIGINT NOT NULL,
    http_bytes_sent BIGINT NOT NULL,
    http_bytes_received BIGINT NOT NULL,
    output_bytes BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    log_count BIGINT NOT NULL,
    PRIMARY KEY (tenant, hour)
);

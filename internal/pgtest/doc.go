// Package pgtest gives tests and the demo a real Postgres: found on this system or fetched, started unprivileged on
// a free port of 127.0.0.1, and gone afterwards.
//
// Tests say once
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
// and then take a database each with [Database]; all tests of a package share one throw-away cluster, started by the
// first that asks. A test that stops, freezes or breaks the server takes a cluster of its own with [Cluster].
// Replication slots belong to the cluster, not to the database: name them with [Name].
//
// What is promised: nothing is left. [Server.Stop] ends the server and removes its directory. If the process that
// started it dies without saying so, the server dies with it at once (by the kernel on Linux, by a watchdog
// elsewhere), and the next [Start] sweeps the directory away. Nothing else in the temporary directory is touched.
// Clusters of tests live in memory (/dev/shm) where the system has it to spare, others if [Options.Memory] asks for it.
//
// The password is random although the server listens on loopback only: other users of the machine must not find a
// superuser there. fsync is off unless [Options.Settings] says otherwise: a cluster survives kill -9 of its processes,
// not a power cut.
//
// The environment: ROWHOOK_PG_BIN names the directory of initdb and postgres. ROWHOOK_TEST_DATABASE_URL names a server
// that [Database] uses instead of starting one; its wal_level must be logical and its role must be able to make
// databases.
package pgtest

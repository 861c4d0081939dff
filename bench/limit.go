//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
)

// limitOrders are those of the limit program.
type limitOrders struct {
	Database    string // a connection string
	Slot        string
	Publication string
	Target      string // a URL
	Workers     int
}

// limitQueue is how many bodies wait for each worker at most.
const limitQueue = 1024

// limitRole is L, the shortest possible sidecar: it decodes, writes JSON, signs and POSTs, in order by instance, and
// acknowledges, retries and remembers nothing. What a real one needs beyond it is what durability costs.
func limitRole(ctx context.Context, in *json.Decoder, out io.Writer) error {
	var o limitOrders
	if err := in.Decode(&o); err != nil {
		return fmt.Errorf("read the orders: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { <-untilEnd(in); cancel() }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: o.Workers, MaxIdleConnsPerHost: o.Workers, DisableCompression: true}}
	queues := make([]chan []byte, o.Workers)
	failed := make(chan error, o.Workers)
	var wg sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan []byte, limitQueue)
		wg.Go(func() {
			mac := hmac.New(sha256.New, []byte("the secret of the limit program."))
			for body := range queues[i] {
				mac.Reset()
				mac.Write(body)
				if err := post(ctx, client, o.Target, body, mac.Sum(nil)); err != nil {
					failed <- err
					cancel()
				}
			}
		})
	}
	err := replicate(ctx, o, out, queues)
	for _, q := range queues {
		close(q)
	}
	wg.Wait()
	select {
	case e := <-failed:
		if !errors.Is(e, context.Canceled) {
			return e
		}
	default:
	}
	if errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return nil
	}
	return err
}

// post sends one body, with its signature if there is one. An answer other than success is an error: nothing is retried.
func post(ctx context.Context, client *http.Client, url string, body, signature []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if signature != nil {
		req.Header.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix(), 10))
		req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(signature))
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the target answered %s", resp.Status)
	}
	return nil
}

// replicate reads the stream from its begin and hands each row to the worker of its instance.
func replicate(ctx context.Context, o limitOrders, out io.Writer, queues []chan []byte) error {
	conn, err := pgconn.Connect(ctx, o.Database+"&replication=database")
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = pglogrepl.StartReplication(ctx, conn, o.Slot, 0, pglogrepl.StartReplicationOptions{
		Mode: pglogrepl.LogicalReplication, PluginArgs: []string{"proto_version '1'", "publication_names '" + o.Publication + "'"}})
	if err != nil {
		return fmt.Errorf("start replication: %w", err)
	}
	if err := json.NewEncoder(out).Encode("ready"); err != nil {
		return err
	}
	relations := map[uint32]*pglogrepl.RelationMessage{}
	var committed []byte
	var lsn pglogrepl.LSN
	for {
		raw, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		if e, ok := raw.(*pgproto3.ErrorResponse); ok {
			return fmt.Errorf("read the stream: %w", pgconn.ErrorResponseToPgError(e))
		}
		message, ok := raw.(*pgproto3.CopyData)
		if !ok {
			continue
		}
		switch message.Data[0] {
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			alive, err := pglogrepl.ParsePrimaryKeepaliveMessage(message.Data[1:])
			if err != nil {
				return err
			}
			if alive.ReplyRequested { // a sign of life that acknowledges nothing
				if err := pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: 1}); err != nil {
					return err
				}
			}
			continue
		case pglogrepl.XLogDataByteID:
		default:
			continue
		}
		data, err := pglogrepl.ParseXLogData(message.Data[1:])
		if err != nil {
			return err
		}
		decoded, err := pglogrepl.Parse(data.WALData)
		if err != nil {
			return err
		}
		var kind string
		var row *pglogrepl.TupleData
		var relation uint32
		switch m := decoded.(type) {
		case *pglogrepl.BeginMessage:
			committed, lsn = m.CommitTime.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z"), m.FinalLSN
			continue
		case *pglogrepl.RelationMessage:
			relations[m.RelationID] = m
			continue
		case *pglogrepl.InsertMessage:
			kind, row, relation = "create", m.Tuple, m.RelationID
		case *pglogrepl.UpdateMessage:
			kind, row, relation = "update", m.NewTuple, m.RelationID
		default:
			continue
		}
		body, id := appendBody(make([]byte, 0, 768), kind, committed, lsn, relations[relation], row)
		select {
		case queues[id%int64(len(queues))] <- body:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// appendBody writes a body as rowhook does, and tells the row's id.
func appendBody(dst []byte, kind string, committed []byte, lsn pglogrepl.LSN, relation *pglogrepl.RelationMessage, row *pglogrepl.TupleData) (body []byte, id int64) {
	dst = append(dst, `{"type":"item.`...)
	dst = append(dst, kind...)
	dst = append(dst, `","timestamp":"`...)
	dst = append(dst, committed...)
	dst = append(dst, `","data":{`...)
	for i, value := range row.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		column := relation.Columns[i]
		dst = append(dst, '"')
		dst = append(dst, column.Name...)
		dst = append(dst, `":`...)
		switch {
		case value.DataType != pglogrepl.TupleDataTypeText:
			dst = append(dst, "null"...)
		case column.DataType == pgtype.Int8OID || column.DataType == pgtype.Int4OID:
			dst = append(dst, value.Data...)
			if i == 0 {
				id, _ = strconv.ParseInt(string(value.Data), 10, 64)
			}
		default:
			dst = appendText(dst, value.Data)
		}
	}
	dst = append(dst, `},"position":"`...)
	dst = fmt.Appendf(dst, "%040x", uint64(lsn))
	return append(dst, `"}`...), id
}

// appendText writes a JSON string.
func appendText(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

package store
import ("testing")
func TestZZ(t *testing.T){
 o := newOffice(t, sqlitePlace(t)); box, trash := o.box(t,o.alice,"Drafts"), o.box(t,o.alice,"Trash"); o.full(t, box, 20000)
 from, to := box, trash
 for i := range 8 { b := processTime(t); c := got[Copied](t)(o.db.CopyMessages(ctx, CopyRequest{from.ID, to.ID, []UIDRange{everyUID}, true}, ownQuota)); t.Log(i, len(c.Dest), processTime(t)-b); from, to = to, from }
}

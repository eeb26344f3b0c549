-- A room that does not allow guests is hidden from those who are in it already, and with it its chat and files: what
-- their tokens may do ends when the owner says so, not hours later. Restrictive: it narrows whatever else shows a room.

CREATE POLICY rooms_without_guests ON dashboard.rooms AS RESTRICTIVE FOR SELECT TO dashboard_app
    USING (guests_allowed OR NOT EXISTS (
        SELECT 1 FROM dashboard.room_guests g
        WHERE g.owner_id = rooms.owner_id AND g.room_id = rooms.id AND g.guest_id = dashboard.current_user_id()));
